"""Segments: sets of customers that a query in Shopify's segment query language describes."""
