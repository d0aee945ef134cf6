"""Customer segments: who fits a query in the segment query language."""
