"""``python -m omc_pipeline.sandbox``: the sandbox as a process, without the rest of the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from omc_infra.errors import OmcError
from omc_infra.machine import machine_failure
from omc_infra.terminal import say
from omc_pipeline.sandbox.server import serve


def main() -> int:
    """Serve until stopped; answers 2 with one line on stderr where that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m omc_pipeline.sandbox", description="Serve the simulated upstreams on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--seed", type=int, default=1, help="seed of all simulated data")
    parser.add_argument("--state", type=Path, help="file that keeps published filings across restarts")
    parser.add_argument("--announce-port", type=Path, help="file to write the port to")
    asked = parser.parse_args()
    try:
        serve(asked.seed, asked.port, asked.state, asked.announce_port)
    except (OmcError, OSError) as error:
        found = machine_failure(error)
        if found is None:
            raise
        say(f"sandbox: {found}", err=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
