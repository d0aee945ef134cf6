import xeno_pipeline.predictions  # noqa: F401  # before a test imports scipy: it says how many threads that may start
