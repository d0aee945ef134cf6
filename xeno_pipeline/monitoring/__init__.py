"""Watching the pipeline: what is wrong with whom, and who is told of it."""
