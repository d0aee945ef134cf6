"""What the marts answer, for the API, the dashboard and exports: one module a subject, without a web framework.

Every function takes a connection and a tenant's id, and names marts without a schema: the session's `search_path` says
whose view of them it has. An owner's is `marts`; the login of the web process reads `serving` first, whose views
withhold personal columns from who may not see them.
"""
