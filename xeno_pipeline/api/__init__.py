"""The HTTP API over the marts: `build_api` makes it, `xeno insights serve` serves it."""
