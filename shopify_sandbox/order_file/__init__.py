"""Stores read from a file of order lines."""
