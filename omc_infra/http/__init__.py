"""The polite client through which everything asks an upstream: limits, retries, deadlines, every body kept.

Not here: what a body means (the sources), where bodies are kept (whoever implements ``RawStore``), services of our own.
"""

from omc_infra.http.client import Content, HttpClient, open_http
from omc_infra.http.policy import HostPolicy
from omc_infra.http.raw_store import RawStore, Validators

__all__ = ["Content", "HostPolicy", "HttpClient", "RawStore", "Validators", "open_http"]
