"""What a test or the demo does to a store: faults, changes, the sales report, and their endpoints."""
