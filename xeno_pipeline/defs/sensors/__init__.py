"""The sensors, one module each. `backlog` is what those for webhooks and privacy requests share."""
