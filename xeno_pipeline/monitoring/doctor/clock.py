"""Whether clocks agree: tokens end, signatures age and cursors move by them."""

from __future__ import annotations

from datetime import datetime

from xeno_pipeline.monitoring.doctor.finding import Finding, ok, wrong

MOST_SECONDS_APART = 30.0
"""Far more than a slow answer takes, and far less than a token's margin of five minutes."""


def examine_clock(subject: str, other: datetime, ours: datetime) -> Finding:
    """Compare another clock with this machine's; both instants carry their zone."""
    ahead = (other - ours).total_seconds()
    if abs(ahead) <= MOST_SECONDS_APART:
        return ok(subject, f"agrees with this machine's to {MOST_SECONDS_APART:.0f} s")
    told = f"It is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's."
    return wrong(subject, told, "Have both machines set their clocks by NTP.")
