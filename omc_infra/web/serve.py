"""Serve the Dagster UI on one address, behind the guard: ``python -m omc_infra.web.serve --port N --token-file FILE -w WORKSPACE``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import click

from omc_infra.web.access import ensure_access
from omc_infra.web.origin import trusted_hosts

COOKIE_PREFIX = "omc_ui_"
_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _POOL_OVERFLOW = 15_000, 3_600, 20
_LIVE_POLL_MS = 2_000


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), required=True, help="Port to listen on.")
@click.option("--names", default="", help="Other host names of the UI, separated by commas, each with its port if it has one.")
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File with the login token.")
@click.option("--read-only", is_flag=True, help="Refuse all requests that change something.")
@click.option("-w", "--workspace", type=click.Path(exists=True, dir_okay=False), required=True, help="Dagster workspace file.")
def serve(host: str, port: int, names: str, token_file: Path, read_only: bool, workspace: str) -> None:
    """Serve until a signal ends the process; the instance is the one of ``DAGSTER_HOME``."""
    import uvicorn
    from dagster import DagsterInstance
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__ as version

    from omc_infra.web.guard import Guard

    access = ensure_access(token_file)
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _POOL_OVERFLOW)
        target = WorkspaceFileTarget(paths=[workspace])
        with WorkspaceProcessContext(instance, version=version, read_only=read_only, workspace_load_target=target) as context:
            app = create_app_from_workspace_process_context(context, "", _LIVE_POLL_MS, lifespan=_lifespan)
            guard = Guard(
                app,
                access,
                trusted_hosts(port, [name.strip() for name in names.split(",") if name.strip()]),
                f"{COOKIE_PREFIX}{port}",
                read_only,
            )
            # No access log: the token stands in the first URL. No proxy headers: whoever sends them could choose his address.
            uvicorn.run(guard, host=host, port=port, log_level="warning", access_log=False, proxy_headers=False, server_header=False)


@asynccontextmanager
async def _lifespan(_app: object) -> AsyncIterator[None]:
    from asyncio import CancelledError

    with suppress(CancelledError):  # uvicorn cancels it at Ctrl-C
        yield


if __name__ == "__main__":
    serve()
