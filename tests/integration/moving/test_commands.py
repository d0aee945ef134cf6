"""`xeno tenant export|import`, as the documentation says: a store moves, and nothing is lost."""
