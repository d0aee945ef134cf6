"""`make dbt-docs`: build dbt's documentation of the models, serve it on loopback and open it in a browser.

It describes the database that the settings name, which is started and migrated where need be.
"""

from __future__ import annotations

import argparse
import sys
import webbrowser
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from xeno_pipeline.database.migrate import open_migrated
from xeno_pipeline.errors import XenoError
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.transform import make_relations
from xeno_pipeline.settings import Settings, load_settings


def build(settings: Settings) -> Path:
    """Build the documentation.

    Returns:
        The folder that holds it.

    Raises:
        XenoError: the database cannot be reached, or dbt failed.
    """
    project = DbtProject(settings)
    make_relations(open_migrated(settings), project)
    folder = settings.home / "dbt" / "docs"
    project.write_docs(folder)
    return folder


def serve(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of the documentation on loopback; port 0 is any free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_QuietHandler, directory=str(folder)))


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged."""


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8581)
    port = parser.parse_args().port
    try:
        folder = build(load_settings())
        server = serve(folder, port)
    except (XenoError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    address = f"http://127.0.0.1:{server.server_port}/"
    sys.stdout.write(f"The models' documentation is at {address} until you press Ctrl-C.\n")
    sys.stdout.flush()
    webbrowser.open(address)
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
