"""The HTTP client for all upstreams: rate limits, retries, deadlines, authentication; it stores every body.

Not here: what a body means (the sources), where bodies are kept (whoever implements ``RawStore``), services of our own.
"""

from omc_infra.http.auth import (
    Auth,
    HeaderKey,
    NoAuth,
    OAuth2ClientCredentials,
    QueryKey,
    Signed,
    SignedBody,
    SignedParts,
    SignedRequest,
    SignRequest,
)
from omc_infra.http.client import HttpClient
from omc_infra.http.limits import InProcessLimits, Limits, Quota
from omc_infra.http.opening import open_http
from omc_infra.http.policy import Host, HostPolicy
from omc_infra.http.postgres_limits import PostgresLimits
from omc_infra.http.raw_store import RawStore, Validators
from omc_infra.http.redaction import Redactor

__all__ = [
    "Auth",
    "HeaderKey",
    "Host",
    "HostPolicy",
    "HttpClient",
    "InProcessLimits",
    "Limits",
    "NoAuth",
    "OAuth2ClientCredentials",
    "PostgresLimits",
    "QueryKey",
    "Quota",
    "RawStore",
    "Redactor",
    "SignRequest",
    "Signed",
    "SignedBody",
    "SignedParts",
    "SignedRequest",
    "Validators",
    "open_http",
]
