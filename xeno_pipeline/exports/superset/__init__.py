"""A bundle for Apache Superset: a tenant's database, its marts as datasets, and a dashboard to begin with."""
