"""How a deployment ends early.

::

    DeploymentError (an upstream's error, so exit code 1)
    ├── GateRefusedError       a check before the first change refuses; nothing was changed
    ├── DeploymentLockedError  another deployment of this environment runs
    ├── LeaseLostError         another process has taken over; this one changes nothing any more
    └── RolloutError           something failed after the first change; the services are rolled back
"""

from __future__ import annotations

from omc_infra.errors import UpstreamRefusedError


class DeploymentError(UpstreamRefusedError):
    """A deployment can't begin or go on."""

    advice = "Read the message and docs/how-to/operate/deploy.md, *Troubleshooting*; `omc deploy ENV --status` shows what serves now."


class GateRefusedError(DeploymentError):
    """A check before the first change refuses; nothing was changed."""

    advice = "Correct what the message names and deploy again; nothing was changed."


class DeploymentLockedError(DeploymentError):
    """Another deployment of the environment runs."""

    advice = "Wait for the other deployment; `omc deploy ENV --status` shows who holds the lock."


class LeaseLostError(DeploymentError):
    """Another process has taken over the deployment; this one changes nothing any more."""

    advice = "Look at `omc deploy ENV --status`: another process goes on with the deployment."


class RolloutError(DeploymentError):
    """A step failed after the first change."""

    advice = "The services were rolled back; read the reason, correct it and deploy again."
