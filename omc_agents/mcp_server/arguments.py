"""What each tool takes. The JSON schemas that clients see are made of these models, and so are the messages about wrong arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from omc_agents.claims.safety import is_hidden
from omc_agents.tools.arguments import SentimentSource, Timeframe, checked_event_type, checked_symbol
from omc_infra.errors import BadInputError
from omc_infra.terminal import one_line
from omc_pipeline.ledgers.human import WHOLE_MARKET
from omc_pipeline.ledgers.table import LedgerName

DEFAULT_ROWS, MOST_ROWS = 10, 50
_LONGEST_SYMBOL = 43
_LONGEST_MESSAGE = 200
_OWN_USER = "May be left out. Any user but the server's own is refused."


def _visible_id(text: str) -> str:
    if any(map(is_hidden, text)):
        raise BadInputError("an id holds a character that can't be seen")
    return text


Symbol = Annotated[
    str,
    Field(max_length=_LONGEST_SYMBOL, description="Ticker of a coin, such as BTC."),
    AfterValidator(lambda text: checked_symbol(text.upper())),
]
EventType = Annotated[
    str, Field(max_length=32, description="Such as filing, listing, delisting or proposal."), AfterValidator(checked_event_type)
]
Id = Annotated[str, AfterValidator(_visible_id)]
Interval = Literal["1m", "5m", "1h", "1d"]


class Arguments(BaseModel):
    """What every tool takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: str | None = Field(
        None, max_length=40, description="Only what was known then: ISO 8601 with a zone, not in the future. Left out: now."
    )
    limit: int | None = Field(None, ge=1, le=MOST_ROWS, strict=True, description=f"Most rows. Left out: {DEFAULT_ROWS}.")
    cursor: str | None = Field(None, max_length=200, description="next_cursor of the result before, with the same other arguments.")


class PriceArguments(Arguments):
    """Whose prices, and how far back."""

    symbol: Symbol
    timeframe: Timeframe = Field(Timeframe.DAY, description="How far back.")
    interval: Interval | None = Field(None, description="Length of the candles. Left out: 1h for 24h, else 1d.")
    currency: Annotated[str, AfterValidator(lambda text: checked_symbol(text.upper()))] = Field(
        "AUD", max_length=12, description="Currency of quotes and candles."
    )


class SentimentArguments(Arguments):
    """Whose sentiment, from where."""

    symbol: Symbol = Field(WHOLE_MARKET, description="Ticker of a coin; MARKET means the whole market.")
    source: SentimentSource = Field(SentimentSource.ANY, description="Which source.")


class EventArguments(Arguments):
    """Which events."""

    symbol: Symbol | None = Field(None, description="Only events of this coin.")
    event_type: EventType | None = Field(None, description="Only this type, such as filing, listing, delisting or proposal.")


class OrderArguments(Arguments):
    """Which fills of the server's user."""

    symbol: Symbol | None = Field(None, description="Only fills of this coin.")
    user_id: str | None = Field(None, max_length=64, description=_OWN_USER)


class PositionArguments(Arguments):
    """Which positions of the server's user."""

    symbol: Symbol | None = Field(None, description="Only the position in this coin.")
    user_id: str | None = Field(None, max_length=64, description=_OWN_USER)


class QualityArguments(Arguments):
    """Which ledger."""

    ledger: LedgerName | None = Field(None, description="Only this ledger.")


class ChainArguments(Arguments):
    """Which coin's protocols, beside the heads of all chains."""

    symbol: Symbol | None = Field(None, description="Adds the largest protocol of this coin by the value locked in it.")


class FlowArguments(Arguments):
    """Which coin."""

    symbol: Symbol


class DocumentArguments(Arguments):
    """Which event, and what of its documents."""

    event_id: Id = Field(min_length=1, max_length=200, description="From get_catalyst_events.")
    source: Id = Field("catalyst_sec_edgar", max_length=80, description="The event's source, from get_catalyst_events.")
    content: Literal["facts", "passages"] = Field(
        "facts", description="facts: statements that rules found and the text bears; passages: the text itself, numbered."
    )


Model = TypeVar("Model", bound=Arguments)


def read_arguments(model: type[Model], given: Mapping[str, Any]) -> Model:
    """Return the checked arguments of a call.

    Raises:
        BadInputError: One is missing, unknown or wrong; the message names the first.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(map(str, first["loc"])) or "arguments"
        said = "no such argument" if first["type"] == "extra_forbidden" else first["msg"]
        raise BadInputError(one_line(f"{name[:60]}: {said}")[:_LONGEST_MESSAGE]) from None


def schema_of(model: type[Arguments]) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments, without the titles that repeat the names."""
    document = model.model_json_schema()
    described = {name: {key: value for key, value in field.items() if key != "title"} for name, field in document["properties"].items()}
    return {**{key: value for key, value in document.items() if key not in {"title", "description"}}, "properties": described}
