"""Stores drawn from a seed."""
