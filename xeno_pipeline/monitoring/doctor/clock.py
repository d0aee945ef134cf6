"""Whether clocks agree: the expiry of tokens, the age of signatures and the cursors of syncs depend on them."""

from __future__ import annotations

from datetime import datetime

from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis, ok, wrong

_TOLERANCE_SECONDS = 30.0
"""Far more than a slow response takes, and far less than a token's margin of five minutes."""


def diagnose_clock(subject: str, other: datetime, ours: datetime) -> Diagnosis:
    """Compare another clock with this machine's; both instants carry their zone."""
    ahead = (other - ours).total_seconds()
    if abs(ahead) <= _TOLERANCE_SECONDS:
        return ok(subject, f"agrees with this machine's to {_TOLERANCE_SECONDS:.0f} s")
    message = f"It is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's."
    return wrong(subject, message, "Synchronize the clocks of both machines by NTP.")
