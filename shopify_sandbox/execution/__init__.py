"""How queries are validated and answered: the schema with its resolvers, connections, references."""
