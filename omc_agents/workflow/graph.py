"""The steps as a LangGraph graph with its checkpoints in PostgreSQL, durable after every step."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypedDict

from omc_agents.sessions.store import Session
from omc_agents.workflow.context import Step, Work
from omc_infra.errors import ConfigurationError
from omc_infra.postgres.database import Database

if TYPE_CHECKING:
    from langgraph.checkpoint.postgres import PostgresSaver

ENVIRONMENT = {"LANGGRAPH_STRICT_MSGPACK": "true", "LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}
"""What must stand in the environment before LangGraph is imported: state is data only, and nothing is reported to anyone."""


class StepInterrupted(Exception):  # noqa: N818 only LangGraph sees it
    """A step failed; the name of its error's class."""


class State(TypedDict):
    """The graph's only channel."""

    work: Work


def run_graph(steps: Mapping[str, Step], database: Database, session: Session, token: str) -> Work:
    """Run a session's steps to their end or to a pause, from its last checkpoint where it has one.

    Args:
        steps: The functions by their names, in their order; the last one publishes.
        database: Where the checkpoints stand.
        session: Names the thread.
        token: Secret of the session.

    Returns:
        The last state.

    Raises:
        Exception: What a step failed with.
    """
    import_langgraph()
    failures: list[Exception] = []
    with checkpoints(database, token) as saver:
        graph = _compiled(steps, saver, failures)
        config = {"configurable": {"thread_id": session.thread_id}}
        held = graph.get_state(config)
        if held.created_at is not None and not held.next:
            return dict(held.values["work"])
        begins_with = {"work": first_state(session)} if held.created_at is None else None
        with suppress(StepInterrupted):
            reached = graph.invoke(begins_with, config, durability="sync")
            return dict(reached["work"])
    raise failures[-1]


def first_state(session: Session) -> Work:
    """Return the state a session starts from."""
    return {"session_id": session.session_id, "status": "running", "event_ref": "", "spend": {"input": 0, "output": 0, "calls": 0}}


@contextmanager
def checkpoints(database: Database, token: str) -> Iterator[PostgresSaver]:
    """Lend a saver on a connection of its own that sees the threads of a token's user; the token goes with the connection."""
    from langgraph.checkpoint.postgres import PostgresSaver
    from psycopg.rows import dict_row

    with closing(database.connect("agent")) as connection:
        connection.autocommit = True
        connection.prepare_threshold = 0
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("SELECT set_config('search_path', 'agents', false), set_config('omc.session_token', %s, false)", (token,))
        connection.row_factory = dict_row
        yield PostgresSaver(connection)


def import_langgraph() -> None:
    """Import LangGraph with strict checkpoints and without tracing.

    Raises:
        ConfigurationError: Something imported it before with other settings; a checkpoint could then rebuild any object.
    """
    os.environ.update(ENVIRONMENT)
    from langgraph.checkpoint.serde import _msgpack

    if not _msgpack.STRICT_MSGPACK_ENABLED:
        raise ConfigurationError("LANGGRAPH_STRICT_MSGPACK: LangGraph was imported before it was set; set it to true in the environment")


def _compiled(steps: Mapping[str, Step], saver: PostgresSaver, failures: list[Exception]) -> Any:
    from langgraph.graph import END, START, StateGraph

    graph, names = StateGraph(State), list(steps)
    last = names[-1]
    for name, step in steps.items():
        graph.add_node(name, _node(step, failures))
    graph.add_edge(START, names[0])
    for name, following in pairwise(names):
        graph.add_conditional_edges(name, _next_or(following, last), list({following, last}))
    graph.add_edge(last, END)
    return graph.compile(checkpointer=saver)


def _node(step: Step, failures: list[Exception]) -> Any:
    """Return a node that keeps a failure aside: LangGraph writes the words of what a node raises into its checkpoints."""
    from langgraph.errors import GraphBubbleUp

    def node(state: State) -> State:
        try:
            return {"work": step(state["work"])}
        except GraphBubbleUp:  # a pause
            raise
        except Exception as error:  # noqa: BLE001 raised again by ``run_graph``
            failures.append(error)
        raise StepInterrupted(type(failures[-1]).__name__)

    return node


def _next_or(following: str, last: str) -> Any:
    def route(state: State) -> str:
        return following if state["work"]["status"] == "running" else last

    return route
