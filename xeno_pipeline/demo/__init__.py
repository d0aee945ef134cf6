"""`make demo`: sandbox stores, all the way to their marts; and `make dev` over what it left."""
