"""`xeno alerts`: open alerts, and a test of the recipients."""

from __future__ import annotations

import typer

from xeno_pipeline.cli.terminal import echo, print_error
from xeno_pipeline.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Show open alerts, and test that they are delivered.")


@app.command("list")
def alerts_list() -> None:
    """Show open alerts, oldest first. They are recorded only while alerts are configured."""
    from xeno_pipeline.database.migrate import open_migrated
    from xeno_pipeline.monitoring.alerts import open_alerts
    from xeno_pipeline.monitoring.channels import channels
    from xeno_pipeline.settings import load_settings

    settings = load_settings()
    with open_migrated(settings).connect() as connection:
        alerts = open_alerts(connection)
    for alert in alerts:
        echo(str(alert))
    if not alerts and channels(settings):
        echo("There are no open alerts.")
    elif not alerts:
        echo("Alerts are off; see docs/operate/alerts.md to turn them on. `xeno doctor` examines the installation now.")


@app.command("test")
def alerts_test() -> None:
    """Send a test message to every configured recipient."""
    from uuid import uuid4

    from xeno_pipeline.monitoring.channels import Message, NotDeliveredError, channels
    from xeno_pipeline.settings import load_settings

    targets = channels(load_settings())
    if not targets:
        raise UsageError(
            "No recipient is configured: set XENO_ALERT_WEBHOOK_URL, or XENO_ALERT_EMAIL_TO, XENO_ALERT_EMAIL_FROM and "
            "XENO_SMTP_URL."
        )
    message = Message(f"test-{uuid4()}", "xeno-pipeline: a test", "This is how you will hear when something is wrong.")
    failed = False
    for channel in targets:
        try:
            channel.send(message)
            echo(f"{channel.name}: delivered.")
        except NotDeliveredError as error:
            failed = True
            print_error(f"{channel.name}: {error}")
    if failed:
        raise typer.Exit(1)
