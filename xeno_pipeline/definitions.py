"""The code location that Dagster loads."""

from xeno_pipeline.defs.build import build_defs
from xeno_pipeline.settings import load_settings

defs = build_defs(load_settings())
