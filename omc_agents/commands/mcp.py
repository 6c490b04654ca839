"""``omc mcp``: the ledgers as tools for an MCP client."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import open_database
from omc_infra.settings import load_settings
from omc_infra.signals import raise_on_ending_signals
from omc_infra.terminal import open_console


@click.command(
    help="Serve the ledgers, read-only, to an MCP client over stdin and stdout. It ends with its client.",
    epilog="Clients start it by themselves: docs/how-to/connect-an-mcp-client.md. The log goes to stderr, one line a call.",
)
@click.option("--user", help="Whose fills and positions may be read; default: OMC_USER.")
@click.option("--list-tools", is_flag=True, help="Print the tools instead of serving them.")
@json_option
def mcp(user: str | None, list_tools: bool, as_json: bool) -> None:
    """Open a session for the user and serve until the client goes."""
    if list_tools:
        _print_tools(as_json)
        return
    if as_json:
        raise BadInputError("--json goes with --list-tools: a server writes only the protocol to stdout")
    from omc_agents.mcp_server.access import Access
    from omc_agents.mcp_server.options import load_limits
    from omc_agents.mcp_server.server import Service, serve

    settings, limits = load_settings(), load_limits()
    with open_database(settings) as database:
        access = Access(database, user or settings.user, timedelta(minutes=settings.agent_token_minutes))
        try:
            serve(Service(access, limits, settings.profile).answer, version("omc"))
        finally:
            raise_on_ending_signals()
            access.close()


def _print_tools(as_json: bool) -> None:
    from omc_agents.mcp_server.arguments import schema_of
    from omc_agents.mcp_server.tools import TOOLS

    if as_json:
        found = [
            {"name": tool.name, "description": tool.description, "arguments": schema_of(tool.arguments)["properties"]}
            for tool in TOOLS.values()
        ]
        emit({"tools": found})
        return
    from omc_infra.tables import print_rows

    rows = [
        {"tool": tool.name, "arguments": ", ".join(tool.arguments.model_fields), "what it reads": tool.description}
        for tool in TOOLS.values()
    ]
    print_rows(open_console(), rows, "tools of `omc mcp`")
