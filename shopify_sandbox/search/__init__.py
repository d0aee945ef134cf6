"""The search syntax of `query:` arguments, and the filters of each connection."""
