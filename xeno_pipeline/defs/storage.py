"""Dagster's storage of runs and events, in the schema `dagster` of the pipeline's own database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_postgres import DagsterPostgresStorage

from xeno_pipeline.database.session import open_with_session
from xeno_pipeline.settings import load_settings

SCHEMA = "dagster"


class XenoStorage(DagsterPostgresStorage):
    """Dagster's Postgres storage in the database that the settings name; the embedded server is started if necessary.

    `dagster.yaml` names this class, so that `dagster dev`, the daemon and the command line share one instance without
    further configuration.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """It takes no configuration."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> XenoStorage:
        """Open the storage. Dagster calls this when it opens its instance.

        Raises:
            XenoError: the database cannot be reached, or keeps no session.
        """
        database = open_with_session(load_settings())
        with database.connect() as connection:
            connection.execute(f"create schema if not exists {SCHEMA}")
        url = database.sqlalchemy_url("psycopg2", schema=SCHEMA)
        return cls(postgres_url=url.render_as_string(hide_password=False), inst_data=inst_data)
