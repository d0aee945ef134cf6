"""The resource of assets, jobs, schedules and sensors: the pipeline, which opens the database and what works on it."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import dagster as dg
from pydantic import PrivateAttr

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.migrate import newest_version, open_migrated, schema_version
from xeno_pipeline.defs.dagster_internals import JOB_IMAGE_TAG, launcher_module
from xeno_pipeline.defs.instance import process_tags
from xeno_pipeline.defs.run_presence import hold_presence
from xeno_pipeline.extraction.report import ProgressSink, no_progress
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.marts.dbt import DbtProject, NodeSink
from xeno_pipeline.marts.transform import has_relations, make_relations
from xeno_pipeline.settings import Settings, load_settings
from xeno_pipeline.shopify.oauth import check_url_template
from xeno_pipeline.tenants.apps import installation_app
from xeno_pipeline.tenants.credentials import load_key_ring

log = logging.getLogger(__name__)

_CLUSTER_LAUNCHER = "xeno_pipeline.defs.run_launcher"
"""Where the class is that the chart's dagster.yaml names. To import it needs packages that only the image has."""


@dataclass(frozen=True)
class Pipeline:
    """The database, ready to use, and what works on it.

    Args:
        settings: where all of it is.
        on_progress: called with the progress of a sync.
        on_node: called with the progress of a transform.
    """

    settings: Settings
    on_progress: ProgressSink = no_progress
    on_node: NodeSink | None = None

    @cached_property
    def database(self) -> Database:
        """The database, migrated if necessary.

        Raises:
            XenoError: it cannot be reached, or is ahead of this package.
        """
        return open_migrated(self.settings)

    @cached_property
    def dbt_project(self) -> DbtProject:
        """The dbt project; its relations exist in the database."""
        project = DbtProject(self.settings)
        make_relations(self.database, project)
        return project

    def is_outdated(self) -> bool:
        """Whether another version of the package has migrated the database since this pipeline was opened."""
        return schema_version(self.database) != newest_version() or not has_relations(self.database, self.dbt_project)

    @property
    def syncer(self) -> Syncer:
        """What syncs tenants into the database, with the keys that there are now."""
        ring = load_key_ring(self.settings)
        spool, app = self.settings.home / "spool", installation_app(self.settings)
        urls = check_url_template(self.settings.shopify_url_template)
        return Syncer(self.database, ring, spool, self.on_progress, app, urls)


class PipelineResource(dg.ConfigurableResource[Pipeline]):
    """Gives ops and assets the pipeline. The command line passes its own, which draws progress bars."""

    _given: ClassVar[Pipeline | None] = None
    _at_the_end: ExitStack = PrivateAttr(default_factory=ExitStack)

    @classmethod
    def of(cls, pipeline: Pipeline) -> PipelineResource:
        """A resource that gives this very pipeline; by its class, since Dagster's copies lack what a resource has."""
        given: type[PipelineResource] = type(cls.__name__, (cls,), {})
        given._given = pipeline
        return given()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Make the process of a run that starts known, so that others find out if it dies.

        Its tags are what `fail_dead_runs` looks for on this machine. In a cluster, Kubernetes knows of the processes of
        Jobs, and for others the run launcher asks for their presence.
        """
        run, instance = context.run, context.instance
        if run is None or instance is None:
            return
        if launcher_module(instance) == _CLUSTER_LAUNCHER and JOB_IMAGE_TAG not in run.tags:
            self._at_the_end.enter_context(hold_presence(self.open().database, run.run_id))
        instance.add_run_tags(run.run_id, process_tags())

    def teardown_after_execution(self, _context: dg.InitResourceContext) -> None:
        """End the presence of the run's process."""
        self._at_the_end.close()

    def open(self) -> Pipeline:
        """The pipeline of this process."""
        return self._given or Pipeline(load_settings())
