"""`python -m xeno_pipeline.cli`, for processes that start the command line of their own interpreter."""

from xeno_pipeline.cli.app import main

main()
