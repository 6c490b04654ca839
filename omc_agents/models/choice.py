"""Which models a user has chosen."""

from __future__ import annotations

from pydantic import SecretStr, ValidationError

from omc_agents.models.catalogue import Catalogue, ListedModel, listed
from omc_agents.models.exchange import Endpoint
from omc_agents.models.keys import EnvironmentKeys, Keys
from omc_agents.models.options import SCRIPTED, SECTION, AgentsSection
from omc_agents.models.panel import Candidate, Caps, Panel, Retries
from omc_agents.models.protocol import StreamingModel
from omc_agents.models.scripted import ScriptedAnalyst
from omc_infra.configuration import load_configuration
from omc_infra.errors import ConfigurationError
from omc_infra.settings import Settings

NO_SECRET = SecretStr("stand-in")
"""What the sandbox sends as its key: no real one is read."""


def load_options() -> tuple[Settings, AgentsSection]:
    """Read the settings and the section of the agents as they are now."""
    configuration = load_configuration()
    options = configuration.section(SECTION)
    if not isinstance(options, AgentsSection):
        raise ConfigurationError(f"the section [{SECTION}] is not available")
    return configuration.settings, options


def chosen_name() -> str:
    """Return the name of the model that sessions are opened for; needs no key."""
    _, options = load_options()
    return ScriptedAnalyst.name if options.names[0] == SCRIPTED else options.names[0]


def chosen_panel() -> Panel:
    """Return the chosen models for the sessions that events start."""
    return panel_of("system")


def panel_of(user_id: str, model: str = "") -> Panel:
    """Return the chosen models with the keys of a user.

    Args:
        user_id: Whose keys.
        model: Full name of the model that is asked first, before those of ``fallback``; empty: the one of ``[agents]``.

    Raises:
        ConfigurationError: The model is not in the list, or the sandbox has no stand-in to ask.
        NotConfiguredError: A key is missing.
    """
    settings, options = load_options()
    return make_panel(settings, with_model(options, model) if model else options, EnvironmentKeys(settings), user_id)


def with_model(options: AgentsSection, model: str) -> AgentsSection:
    """Return the options with another first model.

    Raises:
        ConfigurationError: It is not in the list.
    """
    provider, _, name = model.partition("/")
    try:
        return AgentsSection.model_validate({**options.model_dump(), "provider": provider, "model": name})
    except ValidationError:
        raise ConfigurationError(f"{model!r} is not in the list of `omc models list`") from None


def make_panel(settings: Settings, options: AgentsSection, keys: Keys, user_id: str) -> Panel:
    """Return the chosen models of a user.

    Args:
        settings: Profile.
        options: What was chosen.
        keys: Where keys come from.
        user_id: Whose keys.

    Raises:
        ConfigurationError: A model is not in the list, or the sandbox has no stand-in to ask.
        NotConfiguredError: A key is missing.
    """
    catalogue = full_catalogue(options)
    caps = Caps(
        options.max_call_usd, options.max_session_calls, options.max_session_usd, options.max_user_day_usd, options.max_platform_day_usd
    )
    candidates = tuple(_candidate(name, settings, options, keys, user_id, catalogue) for name in options.names)
    retries = Retries(options.attempts, options.backoff_s)
    at_once = options.sessions_at_once if any(candidate.listing for candidate in candidates) else 1
    limits = (options.deadline_s, options.reading_characters, options.approve_above_usd, at_once)
    return Panel(candidates, retries, caps, *limits, trace_endpoint=options.trace_endpoint)


def full_catalogue(options: AgentsSection) -> Catalogue:
    """Return the list with the user's own models."""
    return listed().with_models(options.own_models)


def _candidate(name: str, settings: Settings, options: AgentsSection, keys: Keys, user_id: str, catalogue: Catalogue) -> Candidate:
    if name == SCRIPTED:
        return Candidate(ScriptedAnalyst())
    listing = catalogue.model(name)
    if settings.profile == "live":
        base_url, key, proxy = catalogue.providers[listing.provider].base_url, keys.key(listing.provider, user_id), options.proxy or None
    elif options.stand_in_url:
        base_url, key, proxy = f"{options.stand_in_url}/{listing.provider}", NO_SECRET, None
    else:
        raise ConfigurationError(
            f"{name}: the sandbox sends nothing to providers; start `omc models stand-in` and set stand_in_url in [agents], or "
            "use the live profile"
        )
    return Candidate(make_model(listing, base_url, key, proxy), listing, catalogue.as_of)


def make_model(listing: ListedModel, base_url: str, key: SecretStr, proxy: str | None = None) -> StreamingModel:
    """Return the adapter of a listed model; no SDK is imported before it is asked."""
    from omc_agents.models.anthropic_messages import AnthropicModel
    from omc_agents.models.gemini_content import GeminiModel
    from omc_agents.models.openai_responses import OpenAIModel

    stainless = frozenset(f"x-stainless-{word}" for word in ("lang", "package-version", "runtime", "runtime-version", "retry-count"))
    match listing.provider:
        case "openai":
            return OpenAIModel(listing.name, Endpoint(base_url, "authorization", "Bearer ", stainless, proxy), key)
        case "anthropic":
            sent = stainless | {"anthropic-version", "anthropic-beta"}
            return AnthropicModel(listing.name, Endpoint(base_url, "x-api-key", "", sent, proxy), key)
        case "google":
            return GeminiModel(listing.name, Endpoint(base_url, "x-goog-api-key", "", frozenset({"x-goog-api-client"}), proxy), key)
