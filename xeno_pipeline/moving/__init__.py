"""Moving tenants between installations: an archive of everything of a tenant that cannot be made again."""
