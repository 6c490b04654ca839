"""What a model may answer: JSON of a schema, else it is no answer."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from omc_infra.errors import PayloadChangedError


class Answer(BaseModel):
    """What a model may answer to one of the questions; a field that isn't named here makes it no answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyAnswer = TypeVar("AnyAnswer", bound=Answer)


def read_answer(text: str, schema: type[AnyAnswer]) -> AnyAnswer:
    """Read a model's answer.

    Raises:
        PayloadChangedError: It is not JSON of the schema; its words are not repeated.
    """
    try:
        return schema.model_validate_json(text)
    except ValidationError as error:
        raise PayloadChangedError(f"model: answer is not of the schema {schema.__name__} ({error.error_count()} faults)") from None
