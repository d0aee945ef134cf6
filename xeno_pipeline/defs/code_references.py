"""Links from assets and jobs to their source: to local files, or to a repository that XENO_SOURCE_URL names."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import dagster as dg

from xeno_pipeline.settings import PROJECT_DIR

METADATA_KEY = "dagster/code_references"
"""The metadata in which Dagster's UI looks for links to an asset's source."""

CodeReferences = dict[str, dg.CodeReferencesMetadataValue]


def references(*sources: dg.LocalFileCodeReference) -> CodeReferences:
    """The metadata of an asset that links to its source."""
    return {METADATA_KEY: _value(sources)}


def to_file(path: Path) -> dg.LocalFileCodeReference:
    """A link to a file. The UI shows the file's name."""
    with _beta():
        return dg.LocalFileCodeReference(file_path=str(path))


def to_module(module: ModuleType) -> dg.LocalFileCodeReference:
    """A link to a module."""
    return to_file(Path(inspect.getfile(module)))


def url_of(reference: dg.LocalFileCodeReference, source_url: str) -> str:
    """Where a file of the checkout is shown by a repository's web pages."""
    return f"{source_url.rstrip('/')}/{Path(reference.file_path).relative_to(PROJECT_DIR).as_posix()}"


def link_spec(spec: dg.AssetSpec, source_url: str | None) -> dg.AssetSpec:
    """The asset with its links to local files turned into links to the repository, where there is one."""
    value = spec.metadata.get(METADATA_KEY)
    if source_url is None or not isinstance(value, dg.CodeReferencesMetadataValue):
        return spec
    with _beta():
        linked = [
            dg.UrlCodeReference(url=url_of(each, source_url)) if isinstance(each, dg.LocalFileCodeReference) else each
            for each in value.code_references
        ]
    return spec.replace_attributes(metadata={**spec.metadata, METADATA_KEY: _value(linked)})


def link_job(job: dg.JobDefinition, module: ModuleType, source_url: str | None) -> dg.JobDefinition:
    """The job with a link to its module in its metadata: Dagster has code references of assets only."""
    source = to_module(module)
    value = (
        dg.MetadataValue.url(url_of(source, source_url))
        if source_url is not None
        else dg.MetadataValue.path(source.file_path)
    )
    return job.with_metadata({**job.metadata, "source": value})


def _value(sources: Sequence[dg.LocalFileCodeReference | dg.UrlCodeReference]) -> dg.CodeReferencesMetadataValue:
    with _beta():
        return dg.CodeReferencesMetadataValue(code_references=list(sources))


def _beta() -> warnings.catch_warnings[None]:
    """Dagster has no other API for these links than one that it warns of as beta; the tests cover it."""
    return warnings.catch_warnings(action="ignore", category=dg.BetaWarning)
