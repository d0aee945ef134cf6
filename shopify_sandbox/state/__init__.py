"""A store: its history, what changed since, and how its objects are found."""
