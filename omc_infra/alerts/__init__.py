"""Alerts: what a person should look at, one for each cause, from its opening to its end.

Whoever watches something hands in what it finds wrong now; alerts are opened, kept and resolved by that. What is said of them goes
into the outbox: an opening, a worsening, the end of a snooze, a recovery.

Not here: what is wrong (the watches of the platform, the pipeline), how a message reaches a person (``omc_infra.delivery``).
"""

from omc_infra.alerts.alert import Alert, Cause, Finding, State

__all__ = ["Alert", "Cause", "Finding", "State"]
