"""The dbt project as a transform needs it: the models that are tables, with their SQL compiled.

Of what dbt does before and for each model, most is the same in every transform: it goes through all nodes, tests and
views included, and renders each model's Jinja. Here that is done once for a version of the project.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dbt.artifacts.resources.types import NodeType
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode

_CALLED_BY_DBT = ("macro.dbt.list_schemas", "macro.dbt.create_schema")
"""What dbt calls in a run, besides what models and hooks do."""

_JINJA = re.compile(r"\{[{%#]|[}%#]\}")


def keep_tables(manifest: Manifest, compiled: Mapping[str, str]) -> None:
    """Leave of a project only what a run of its tables needs.

    Args:
        manifest: of the whole project; it is changed.
        compiled: the SQL of each model that stays, by unique id. A model depends on those of them that it reads, be it
            by way of views.
    """
    dependencies = {unique_id: sorted(_read_by(manifest, unique_id, compiled)) for unique_id in compiled}
    for unique_id, sql in compiled.items():
        model = manifest.nodes[unique_id]
        assert isinstance(model, ModelNode)
        model.raw_code = f"{{% raw %}}{sql}{{% endraw %}}" if _JINJA.search(sql) else sql
        model.depends_on.nodes = dependencies[unique_id]
        model.refs, model.sources = [], []
    manifest.nodes = {
        unique_id: node
        for unique_id, node in manifest.nodes.items()
        if unique_id in compiled or node.resource_type == NodeType.Operation  # the hooks of a run's start and end
    }
    manifest.macros = {unique_id: manifest.macros[unique_id] for unique_id in _used_macros(manifest)}
    manifest.files, manifest.docs, manifest.unit_tests = {}, {}, {}


def _read_by(manifest: Manifest, unique_id: str, tables: Mapping[str, str]) -> Iterator[str]:
    """The tables that a model reads, by way of views or not."""
    seen: set[str] = set()
    upstream = list(manifest.nodes[unique_id].depends_on_nodes)
    while upstream:
        each = upstream.pop()
        if each in seen or each not in manifest.nodes:
            continue
        seen.add(each)
        if each in tables:
            yield each
        else:
            upstream.extend(manifest.nodes[each].depends_on_nodes)


def _used_macros(manifest: Manifest) -> set[str]:
    """The project's own macros, and what they and dbt call; for each model, dbt goes through all that there are."""
    own = [each for each, macro in manifest.macros.items() if macro.package_name == manifest.metadata.project_name]
    used: set[str] = set()
    called = [*own, *_CALLED_BY_DBT]
    while called:
        if (each := called.pop()) not in used:
            used.add(each)
            called.extend(manifest.macros[each].depends_on.macros)
    return used
