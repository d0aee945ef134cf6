"""The jobs, a module each, with their ops."""
