"""What a collection needs before its first request: the source's keys, its account and its hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from omc_infra.errors import BadInputError, NotConfiguredError
from omc_pipeline.collection.accounts import Account, account_named, accounts, default_account
from omc_pipeline.collection.keys import keys_of
from omc_pipeline.collection.options import MAIN_HOST, SourceConfig
from omc_pipeline.collection.readiness import lacks_extra
from omc_pipeline.collection.source import Source

if TYPE_CHECKING:
    import psycopg

    from omc_infra.postgres.database import Database
    from omc_infra.settings import Settings


def source_keys(source: Source, account: Account | None, settings: Settings) -> Mapping[str, SecretStr]:
    """Return the keys of a source and account by name. In the sandbox profile they are made up, so that no real key leaves the machine.

    Raises:
        NotConfiguredError: Live, and a key is missing.
    """
    try:
        return keys_of(source.keys_of(account), account, settings)
    except NotConfiguredError as error:
        raise NotConfiguredError(f"{source.name} is not configured: {error}") from error


def require_some_keys(source: Source, settings: Settings) -> None:
    """Raise if a source can't be collected for any account, before the database is opened.

    Raises:
        NotConfiguredError: An optional dependency is missing; or live, a key, of a source that is collected by account, every account's.
    """
    if lacks_extra(source):
        raise NotConfiguredError(f"{source.name} is not configured: {lacks_extra(source)}")
    if not source.per_account:
        source_keys(source, None, settings)
    elif source.venues is None and not {name.partition("__")[0] for name in settings.keys} & set(source.keys):
        source_keys(source, Account(settings.user, source.venue, source.venue), settings)


def source_account(
    source: Source, database: Database, settings: Settings, user_id: str | None = None, account_id: str | None = None
) -> Account | None:
    """Return the account to collect.

    Args:
        source: What is collected.
        database: Where accounts are.
        settings: Of these, the configured user.
        user_id: Its owner; None: the configured user, or whoever owns the account that is named.
        account_id: Its id; None: the user's first account, which is added where there is none.

    Returns:
        The account, or None for a source that is not collected by account.

    Raises:
        BadInputError: There is no such account of that user and source, or it was removed; or the source has no accounts.
    """
    if not source.per_account:
        if user_id or account_id:
            raise BadInputError(f"{source.name} doesn't collect accounts")
        return None
    with database.connect("writer") as connection:
        if account_id is None:
            return _first_account(connection, source, user_id or settings.user)
        account = account_named(connection, account_id)
    if account.source != source.name or user_id not in (None, account.user_id) or account.state == "removed":
        state = " removed," if account.state == "removed" else ""
        raise BadInputError(f"account '{account_id}' is{state} of user '{account.user_id}' and source '{account.source}'")
    return account


def _first_account(connection: psycopg.Connection[Any], source: Source, user_id: str) -> Account:
    """Return a user's first account; if there is none and the source has one venue, add it."""
    if source.venues is None:
        return default_account(connection, user_id, source.name, source.venue)
    known = accounts(connection, user_id=user_id, source=source.name)
    if not known:
        raise BadInputError(f"user '{user_id}' has no account for {source.name}: add one with `omc accounts add VENUE`")
    return known[0]


def chosen_hosts(config: SourceConfig) -> Mapping[str, tuple[str, ...]]:
    """Return the live hosts of a source's options by the name of the policy they stand for; empty for the source's own."""
    return {"" if name == MAIN_HOST else name: urls for name, urls in config.hosts.items()}


def default_hosts(source: Source) -> Mapping[str, tuple[str, ...]]:
    """Return the live base URLs of a source by host name."""
    policies = {} if source.policy is None else {MAIN_HOST: source.policy, **source.policy.others}
    return {name: policy.live_urls for name, policy in policies.items()}
