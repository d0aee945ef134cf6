"""Bulk operations: accepted, run in worker processes, written and downloaded."""
