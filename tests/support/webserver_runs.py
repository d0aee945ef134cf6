"""Runs that are launched and watched as the pages of the Dagster UI do it."""

from __future__ import annotations

import time
from typing import Any

import requests


def launch_run(url: str, job: str) -> str:
    """Queue a run of a job, as the button in the UI does; its id.

    Args:
        url: of the web server.
        job: its name.
    """
    selector = {
        "repositoryLocationName": "xeno_pipeline",
        "repositoryName": "__repository__",
        "jobName": job,
    }
    query = """
        mutation($selector: JobOrPipelineSelector!) {
          launchRun(executionParams: {selector: $selector, runConfigData: {}}) {
            __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
          }
        }
        """
    answer = _graphql(url, query, selector=selector)["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def await_success(url: str, run_id: str, seconds: float) -> None:
    """Wait until the daemon has taken the run from the queue, and it is done."""
    deadline, status = time.monotonic() + seconds, None
    query = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    while status != "SUCCESS":
        assert time.monotonic() < deadline, f"the run is still {status}"
        assert status not in ("FAILURE", "CANCELED"), status
        status = _graphql(url, query, id=run_id)["runOrError"].get("status")
        time.sleep(0.5)


def _graphql(url: str, query: str, **variables: Any) -> dict[str, Any]:
    answer = requests.post(f"{url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
    assert "errors" not in answer, answer["errors"]
    data: dict[str, Any] = answer["data"]
    return data
