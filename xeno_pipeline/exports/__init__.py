"""Exports: a tenant's marts as CSV and Parquet, and as a bundle for Superset."""
