"""The sections ``[deploy.staging]`` and ``[deploy.production]`` of ``omc.toml``: what an environment on AWS consists of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from omc_infra.configuration import Section
from omc_infra.errors import ConfigurationError
from omc_infra.mistakes import complaints
from omc_infra.settings import Settings, find_file

GROUP = "deploy"
ENVIRONMENTS = ("staging", "production")
_NEEDED = ("region", "account", "cluster", "state_table", "repository", "migration_family", "database_instance")
_NAME = r"^[A-Za-z0-9_./:-]{0,255}$"
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?", re.ASCII)
Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"]


def _base_url(written: str) -> str:
    if not _URL.fullmatch(written):
        raise ValueError("must be a base URL like https://omc.example.com")
    return written


def _service_name(written: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]*\{service\}[A-Za-z0-9_-]*", written):
        raise ValueError("must contain {service} once, and else letters, digits, hyphens and underscores")
    return written


class DeploySection(Section):
    """An environment on AWS that `omc deploy` deploys to. The infrastructure exists already; keys of AWS are found as its own tools do."""

    region: str = Field("", pattern=r"^[a-z0-9-]{0,40}$", description="Region, such as `ap-southeast-2`.")
    account: str = Field("", pattern=r"^(\d{12})?$", description="Id of the account. A deployment with keys of another account is refused.")
    cluster: str = Field("", pattern=_NAME, description="ECS cluster.")
    state_table: str = Field(
        "", pattern=_NAME, description="DynamoDB table of locks and records, with the keys `environment` (hash) and `item` (range)."
    )
    repository: str = Field("", pattern=_NAME, description="URI of the ECR repository, `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME`.")
    builder: Literal["docker", "buildah", "none"] = Field(
        "docker", description="What builds and pushes the image; `none`: `--image` names one that exists."
    )
    dockerfile: str = Field("Dockerfile", max_length=400, description="Path of the Dockerfile, from the project's folder on.")
    platform: str = Field("linux/amd64", pattern=r"^[a-z0-9]+/[a-z0-9/]+$", description="Platform of the image.")
    base_image: str = Field("", max_length=400, description="Base image, the build argument `BASE_IMAGE`. Empty: the Dockerfile's own.")
    tests_record: str = Field(
        ".tests-passed", max_length=400, description="File that holds the commit for which all tests passed, from the project's folder on."
    )
    blocked_severities: tuple[Severity, ...] = Field(("CRITICAL", "HIGH"), description="Findings of the image scan that refuse an image.")
    accepted_findings: tuple[str, ...] = Field((), max_length=500, description='Findings that were judged harmless: `["CVE-2026-1234"]`.')
    services: tuple[str, ...] = Field(
        ("*",),
        min_length=1,
        max_length=50,
        description="Names or patterns of the services to deploy; one that runs on demand by its name only.",
    )
    service_name: Annotated[str, AfterValidator(_service_name)] = Field(
        "{service}", description="Name of a service in ECS; `{service}` stands for its name in `omc status`."
    )
    run_families: tuple[str, ...] = Field(
        (), max_length=20, description="Families of task definitions that get the image too, because runs start from their newest revision."
    )
    migration_family: str = Field("", pattern=_NAME, description="Family of the task definition that migrates the database.")
    migration_command: tuple[str, ...] = Field(
        (), max_length=20, description="Command of the migration. Empty: that of its task definition."
    )
    database_instance: str = Field("", pattern=_NAME, description="RDS instance of which a snapshot is made before the migration.")
    health_urls: dict[str, Annotated[str, AfterValidator(_base_url)]] = Field(
        {}, description='Base URL by service, for those that are checked over HTTP: `{dagster-webserver = "https://omc.example.com"}`.'
    )
    alarms: tuple[str, ...] = Field((), max_length=100, description="CloudWatch alarms that end a deployment when one of them goes off.")
    cache_group: str = Field("", pattern=_NAME, description="ElastiCache replication group that gets its token. Empty: none.")
    cache_entry: str = Field(
        "", pattern=_NAME, description="Entry of Secrets Manager with that token, alone or as the password in a `rediss://` URL."
    )
    oidc_listener: str = Field(
        "", pattern=_NAME, description="ARN of the load balancer's HTTPS listener that gets the login rule. Empty: none."
    )
    oidc_entry: str = Field(
        "",
        pattern=_NAME,
        description="Entry of Secrets Manager for it: JSON with issuer, authorization_endpoint, token_endpoint, user_info_endpoint, "
        "client_id and client_secret.",
    )
    oidc_hosts: dict[str, str] = Field({}, description="Host name by service, for those behind the login rule.")
    oidc_priority: int = Field(100, ge=1, le=49_000, description="Priority of the first login rule; the others follow.")
    approval: bool = Field(False, description="Whether a person approves each deployment, by `--yes` or by typing the environment's name.")
    poll_s: float = Field(5.0, gt=0, le=60, description="Seconds between two looks at AWS.")
    lease_s: float = Field(60.0, ge=0.5, le=900, description="Seconds after which the lock of a deployment that was killed is free.")
    start_timeout_s: float = Field(300.0, gt=0, le=7200, description="Longest time until a task runs.")
    rollout_timeout_s: float = Field(900.0, gt=0, le=14_400, description="Longest time until a service is stable.")
    migration_timeout_s: float = Field(3600.0, gt=0, le=86_400, description="Longest time that a migration takes.")
    snapshot_timeout_s: float = Field(3600.0, gt=0, le=86_400, description="Longest time that a snapshot takes.")
    scan_timeout_s: float = Field(600.0, gt=0, le=7200, description="Longest time that a scan takes.")
    cache_timeout_s: float = Field(1200.0, gt=0, le=7200, description="Longest time until the cache has taken its token.")
    health_timeout_s: float = Field(180.0, gt=0, le=7200, description="Longest time until the health checks pass.")
    bake_s: float = Field(120.0, ge=0, le=86_400, description="Seconds in which services and alarms are watched after the last service.")
    api_attempts: int = Field(10, ge=1, le=50, description="How often a call of AWS is tried that is throttled or not answered.")


class ProductionSection(DeploySection):
    """Production. Its options are those of `[deploy.staging]`, but that a person approves each deployment."""

    approval: bool = Field(True, description="Whether a person approves each deployment, by `--yes` or by typing the environment's name.")


_MODELS: dict[str, type[DeploySection]] = {"staging": DeploySection, "production": ProductionSection}


def config_models() -> dict[str, type[Section]]:
    """Return the sections of the configuration."""
    return {f"{GROUP}.{name}": _MODELS[name] for name in ENVIRONMENTS}


def deploy_section(settings: Settings, environment: str) -> DeploySection:
    """Return an environment's section from the configuration file of some settings; other sections are not read.

    Raises:
        ConfigurationError: The section is wrong or misses what every deployment needs; the message names file and option.
    """
    file = find_file(settings.environ())
    at, model = [GROUP, environment], _MODELS[environment]
    group = file.document.get(GROUP, {})
    table = group.get(environment, {}) if isinstance(group, Mapping) else None
    found = complaints(model, table, file, at) if isinstance(table, Mapping) else [f"{file.place(at)}: must be a table"]
    if found:
        raise ConfigurationError("; ".join(found))
    section = model.model_validate(table)
    if missing := [name for name in _NEEDED if not getattr(section, name)]:
        raise ConfigurationError(f"{file.place(at)}: set {', '.join(missing)}; see docs/how-to/operate/deploy.md")
    for one, other in (("cache_group", "cache_entry"), ("oidc_listener", "oidc_entry"), ("oidc_listener", "oidc_hosts")):
        if bool(getattr(section, one)) != bool(getattr(section, other)):
            raise ConfigurationError(f"{file.place(at)}: set both {one} and {other}, or neither")
    if "/" not in section.repository or "@" in section.repository:
        raise ConfigurationError(f"{file.place([*at, 'repository'])}: must be like 123456789012.dkr.ecr.us-east-1.amazonaws.com/omc")
    return section
