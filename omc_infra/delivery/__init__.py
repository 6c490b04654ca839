"""Bring messages to people: channels (Slack, e-mail, Telegram, ntfy, a signed webhook) and the outbox from which they are sent.

A message is written to the outbox in the transaction of what it reports, with a delivery for each channel. Deliveries that are due
are sent later, and again after a failure, until they succeed or are given up.

Not here: what is reported, to whom and when (``omc_infra.alerts`` and whoever else has something to say).
"""

from omc_infra.delivery.message import SEVERITIES, Message, Severity

__all__ = ["SEVERITIES", "Message", "Severity"]
