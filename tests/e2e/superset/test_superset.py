"""Superset, installed in an environment of its own, imports a store's bundle and draws its dashboard."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from shopify_sandbox.process import SandboxProcess
from tests.support.chromium import open_chromium
from tests.support.installation import Shop
from tests.support.loopback import answers, free_port
from tests.support.xeno_command import Xeno

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# Superset 6.1.0 needs, and does not declare, what follows it; a newer Flask-Caching calls its cache wrongly.
PACKAGES = ("apache-superset==6.1.*", "psycopg2-binary", "rich", "cachetools", "flask-caching<2.4", "gunicorn")
USER, PASSWORD = "admin", "only-here"

CONFIGURATION = """
    from superset.config import TALISMAN_CONFIG

    SECRET_KEY = "a key of this test, which protects nothing"
    SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db"
    policy = TALISMAN_CONFIG["content_security_policy"]
    policy["img-src"] = [host for host in policy["img-src"] if "scarf.sh" not in host]
    """


@dataclass
class Superset:
    """An installation in a folder."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def program(self, name: str) -> str:
        return str(self.folder / "venv" / "bin" / name)

    def run(self, *command: str) -> None:
        subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True, timeout=900)

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        configuration = str(self.folder / "superset_config.py")
        return {**inherited, "HOME": str(self.folder), "SUPERSET_CONFIG_PATH": configuration, "FLASK_APP": "superset"}

    def install(self) -> None:
        """As whoever runs the tests installs packages, with their settings and certificates."""
        uv = str(Path(sys.executable).with_name("uv"))
        for command in (("venv", "--python", sys.executable, str(self.folder / "venv")), self._packages):
            subprocess.run((uv, *command), check=True, capture_output=True, text=True, timeout=900)

    @property
    def _packages(self) -> tuple[str, ...]:
        return ("pip", "install", "--quiet", "--python", self.program("python"), *PACKAGES)

    def set_up(self) -> None:
        (self.folder / "superset_config.py").write_text(textwrap.dedent(CONFIGURATION).format(folder=self.folder))
        self.run(self.program("superset"), "db", "upgrade")
        names = ("--firstname", "A", "--lastname", "B", "--email", "admin@superset.invalid")
        self.run(self.program("superset"), "fab", "create-admin", "--username", USER, "--password", PASSWORD, *names)
        self.run(self.program("superset"), "init")

    def serve(self) -> subprocess.Popen[bytes]:
        command = (self.program("gunicorn"), "--workers", "1", "--threads", "8", "--timeout", "120")
        log = (self.folder / "log").open("wb")
        return subprocess.Popen(
            (*command, "--bind", f"127.0.0.1:{self.port}", "superset.app:create_app()"),
            env=self.environment,
            stdout=log,
            stderr=log,
        )

    def import_bundle(self, bundle: Path, passwords: dict[str, str]) -> requests.Response:
        """As docs/use/connect-a-bi-tool.md says."""
        session = requests.Session()
        login = {"username": USER, "password": PASSWORD, "provider": "db", "refresh": True}
        token = session.post(f"{self.url}/api/v1/security/login", json=login, timeout=60).json()["access_token"]
        session.headers.update({"Authorization": f"Bearer {token}", "Referer": self.url})
        csrf = session.get(f"{self.url}/api/v1/security/csrf_token/", timeout=60).json()["result"]
        return session.post(
            f"{self.url}/api/v1/assets/import/",
            headers={"X-CSRFToken": csrf},
            files={"bundle": (bundle.name, bundle.read_bytes(), "application/zip")},
            data={"passwords": json.dumps(passwords)},
            timeout=120,
        )


@pytest.fixture(scope="module")
def superset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    """A running Superset."""
    installed = Superset(tmp_path_factory.mktemp("superset"))
    try:
        installed.install()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"Superset cannot be installed here: {' '.join(error.stderr.split())[:300]}")
    installed.set_up()
    server = installed.serve()
    try:
        deadline = time.monotonic() + 180
        while not answers(f"{installed.url}/health"):
            assert server.poll() is None, (installed.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(1)
        yield installed
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    opened = open_chromium(1500, 2600)
    if opened is None:
        pytest.skip("Chromium and ChromeDriver are not installed (Debian: chromium, chromium-driver)")
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def xeno(make_home: Callable[[], Path], sandbox: SandboxProcess) -> Xeno:
    """`xeno` with a store that was read, and a server that takes passwords."""
    command = Xeno(make_home(), {"XENO_POSTGRES_PORT": str(free_port())})
    shop = Shop(sandbox, "shelf")
    for arguments in (("tenant", "add", "shelf", "--api-url", shop.api_url), ("sync", "shelf")):
        done = command(*arguments)
        assert done.exit_code == 0, done.err
    return command


def test_superset_draws_the_dashboard_of_a_bundle(
    superset: Superset, browser: webdriver.Chrome, xeno: Xeno, tmp_path: Path
) -> None:
    role = xeno("tenant", "bi-role", "shelf").out
    password = role.partition("password")[2].split()[0]
    bundle = tmp_path / "shelf.zip"
    for force in ((), ("--force",)):  # importing again replaces
        assert xeno("tenant", "bi-bundle", "shelf", "--to", str(bundle), *force).exit_code == 0
        answer = superset.import_bundle(bundle, {"databases/shelf.yaml": password})
        assert (answer.status_code, answer.json()) == (200, {"message": "OK"})

    browser.get(f"{superset.url}/login/")
    wait = WebDriverWait(browser, 120)
    wait.until(lambda page: page.find_elements(By.CSS_SELECTOR, "input[name=username], input#username"))
    browser.find_element(By.CSS_SELECTOR, "input[name=username], input#username").send_keys(USER)
    browser.find_element(By.CSS_SELECTOR, "input[name=password], input#password").send_keys(PASSWORD)
    browser.find_element(By.CSS_SELECTOR, "button[type=submit], input[type=submit]").click()
    wait.until(lambda page: "login" not in page.current_url)
    browser.get(f"{superset.url}/superset/dashboard/xeno-shelf/")
    wait.until(lambda page: len(page.find_elements(By.CSS_SELECTOR, "canvas")) >= 4)
    wait.until(lambda page: not page.find_elements(By.CSS_SELECTOR, ".loading"))

    text = browser.find_element(By.TAG_NAME, "body").text
    browser.save_screenshot(str(tmp_path / "dashboard.png"))
    assert "error" not in text.lower(), text
    query = "select sum(net_sales) from marts.revenue_daily"
    net_sales = xeno("db", "psql", "-c", query, "-At").out.strip()
    assert f"{float(net_sales):,.2f}" in text
    assert re.search(r"\bCHAMPIONS\b", text)
    log = browser.get_log("browser")  # type: ignore[no-untyped-call]
    refused = [line["message"] for line in log if "Content Security Policy" in line["message"]]
    assert all("scarf.sh" in line for line in refused), "nothing but the counter of visits is refused"
