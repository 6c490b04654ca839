"""What the adapters on the providers' SDKs share: the wire, the deadline, and failures without words of the provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from typing import Any, ClassVar

from pydantic import SecretStr

from omc_agents.models.exchange import Endpoint, Exchange, ProviderWire
from omc_agents.models.failures import failure_of, request_id_of
from omc_agents.models.protocol import Block, Request, Response, TextPart, Usage
from omc_infra.errors import OmcError, PayloadChangedError

Document = Mapping[str, Any]


class SdkModel(ABC):
    """A model behind a provider's own SDK, whose retries are off and whose key is put in by the wire.

    Args:
        model: As the provider names it.
        endpoint: Where it is asked.
        key: Proves who asks; never handed to the SDK.
    """

    provider: ClassVar[str]

    def __init__(self, model: str, endpoint: Endpoint, key: SecretStr) -> None:
        self.model, self._endpoint = model, endpoint
        self._wire = ProviderWire(endpoint, key)

    @property
    def name(self) -> str:
        """Provider and model."""
        return f"{self.provider}/{self.model}"

    def complete(self, request: Request) -> Response:
        """Ask the model once and return what it says within the deadline.

        Raises:
            OmcError: As ``failures`` names it.
        """
        self._prepare()
        body, exchange = self._body(request), self._wire.begin(request.deadline_s)
        failure: OmcError | None = None
        document: Document = {}
        try:
            document = self._ask(body, request.deadline_s)
        except Exception as error:  # noqa: BLE001 an SDK raises classes of four libraries; the wire says what happened
            failure = failure_of(self.provider, exchange, error)
        if failure is not None:
            raise failure  # outside of the block above: the SDK's exception holds the request and words of the provider
        return self._response(document, exchange)

    def stream(self, request: Request) -> Iterator[TextPart | Response]:
        """Yield the words as they arrive and, as the last item, the whole answer.

        Raises:
            OmcError: As ``failures`` names it; what was yielded before is no answer.
        """
        self._prepare()
        body, exchange = self._body(request), self._wire.begin(request.deadline_s)
        pieces = self._pieces(body, request.deadline_s)
        while True:
            failure: OmcError | None = None
            document: Document | None = None
            try:
                words = next(pieces)
            except StopIteration as end:
                document = end.value
            except Exception as error:  # noqa: BLE001 as in ``complete``
                failure = failure_of(self.provider, exchange, error)
            if failure is not None:
                raise failure
            if document is not None:
                yield self._response(document, exchange)
                return
            yield TextPart(words)

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()

    def _response(self, document: Document, exchange: Exchange) -> Response:
        unreadable = False
        try:
            blocks, stop, usage, model = self._read(document)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
            unreadable = True
        if unreadable:
            raise PayloadChangedError(f"{self.provider}: the answer is not of the known shape")
        return Response(blocks, stop, usage, model, request_id_of(exchange.headers) or str(document.get("id") or ""), exchange.sha256)

    @abstractmethod
    def _prepare(self) -> None:
        """Import the SDK and make its client, which takes seconds the first time and is no part of a call's deadline."""

    @abstractmethod
    def _body(self, request: Request) -> dict[str, Any]:
        """Return the arguments of the SDK's call."""

    @abstractmethod
    def _ask(self, body: Mapping[str, Any], deadline_s: float) -> Document:
        """Make the call and return the answer as JSON."""

    @abstractmethod
    def _pieces(self, body: Mapping[str, Any], deadline_s: float) -> Generator[str, None, Document]:
        """Make the call, yield words, and return the answer as JSON, of the shape that ``_ask`` returns."""

    @staticmethod
    @abstractmethod
    def _read(document: Document) -> tuple[tuple[Block, ...], Any, Usage, str]:
        """Return blocks, stop, usage and the model that answered."""
