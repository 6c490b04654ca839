"""Storage of large objects outside the database: in a folder of this machine, or in an S3 bucket.

Keys are ``OMC_KEY_S3`` and ``OMC_KEY_S3_SECRET``; without them the machine's own role, or the variables and files of AWS that the process
sees. Writes are atomic: a folder uses a rename; S3 shows an object only when it is complete.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

from pydantic import AfterValidator, Field, model_validator

from omc_infra.configuration import FILE_ONLY, Section
from omc_infra.errors import AccessDeniedError, ConfigurationError, MachineError, OmcError, UpstreamUnavailableError
from omc_infra.mistakes import complaints
from omc_infra.private import private_folder
from omc_infra.settings import Settings, find_file

SECTION = "storage"
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/-]{0,400})?", re.ASCII)
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?", re.ASCII)
_DENIED = ("ACCESS_DENIED", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403")
_CONNECT_S, _REQUEST_S = 10, 60
_CHUNK_BYTES = 8 * 1024 * 1024


def _matching(pattern: re.Pattern[str], like: str) -> AfterValidator:
    def check(written: str) -> str:
        if written and not pattern.fullmatch(written):
            raise ValueError(f"must be like {like}")
        return written.rstrip("/")

    return AfterValidator(check)


class StorageConfig(Section):
    """Where the lake and the bodies of upstream answers are stored."""

    s3: Annotated[str, _matching(_BUCKET, "s3://bucket/prefix")] = Field(
        "", description="Bucket and prefix for everything stored in S3, `s3://bucket/prefix`.", json_schema_extra=FILE_ONLY
    )
    s3_region: str = Field(
        "", pattern=r"^[a-z0-9-]{0,40}$", description="Region of the bucket. Empty: OMC finds it.", json_schema_extra=FILE_ONLY
    )
    s3_endpoint: Annotated[str, _matching(_ENDPOINT, "https://minio.example.com:9000")] = Field(
        "", description="Base URL of an S3-compatible store other than AWS.", json_schema_extra=FILE_ONLY
    )
    lake: Literal["folder", "s3", "off"] = Field("folder", description="Where the lake is written.", json_schema_extra=FILE_ONLY)
    lake_folder: str = Field("", description="Folder of the lake. Empty: `lake` in `OMC_HOME`.", json_schema_extra=FILE_ONLY)
    lake_days_again: int = Field(7, ge=0, le=366, description="Number of days before yesterday that the daily export compares again.")
    bodies: Literal["database", "s3"] = Field(
        "database",
        description="Where new bodies of upstream answers are stored. Existing bodies stay where they are.",
        json_schema_extra=FILE_ONLY,
    )

    @model_validator(mode="after")
    def _has_bucket(self) -> StorageConfig:
        if not self.s3 and "s3" in (self.lake, self.bodies):
            raise ValueError('lake or bodies is "s3", but no bucket is set; set s3 = "s3://bucket/prefix"')
        return self


def storage_models() -> dict[str, type[Section]]:
    """Return the section of the configuration."""
    return {SECTION: StorageConfig}


def storage_of(settings: Settings) -> StorageConfig:
    """Return the section as the configuration file of some settings has it, without a look at the other sections.

    Raises:
        ConfigurationError: It is wrong; the message names file and line.
    """
    file = find_file(settings.environ())
    table = file.document.get(SECTION, {})
    found = complaints(StorageConfig, table, file, [SECTION]) if isinstance(table, Mapping) else [f"{file.path}: {SECTION} is no table"]
    if found:
        raise ConfigurationError("; ".join(found))
    return StorageConfig.model_validate(table)


@dataclass(frozen=True)
class Objects:
    """Objects below one root, by their path from it on.

    Attributes:
        shown: The root as a person names it: a folder, or ``s3://bucket/prefix``.
        folder: The root, where it is a folder.
        files: A file system of pyarrow, where the root is in S3.
        prefix: Bucket and prefix there.
    """

    shown: str
    folder: Path | None = None
    files: Any = None
    prefix: str = ""

    def put_file(self, name: str, file: Path) -> None:
        """Move a local file to an object atomically; the local file is removed.

        Raises:
            OmcError: The disk is full, or the store refuses or can't be reached.
        """
        with _named(self.shown):
            if self.folder is not None:
                target = self.folder / name
                private_folder(target.parent)
                file.replace(target)
                return
            with file.open("rb") as source, self.files.open_output_stream(f"{self.prefix}/{name}") as out:
                while chunk := source.read(_CHUNK_BYTES):
                    out.write(chunk)
            file.unlink()

    def put(self, name: str, content: bytes) -> None:
        """Write bytes to an object atomically; errors as in ``put_file``."""
        with _named(self.shown):
            if self.folder is None:
                with self.files.open_output_stream(f"{self.prefix}/{name}") as out:
                    out.write(content)
                return
        part = self.workplace() / uuid4().hex
        with _named(self.shown):
            part.write_bytes(content)
        self.put_file(name, part)

    def read(self, name: str) -> bytes:
        """Return an object.

        Raises:
            LookupError: There is none of that name.
            OmcError: As of ``put_file``.
        """
        with _named(self.shown):
            try:
                if self.folder is not None:
                    return (self.folder / name).read_bytes()
                with self.files.open_input_stream(f"{self.prefix}/{name}") as source:
                    content: bytes = source.read()
                    return content
            except FileNotFoundError as error:
                raise LookupError(f"no {name} in {self.shown}") from error

    def delete(self, name: str) -> None:
        """Delete an object if it exists."""
        with _named(self.shown), suppress(FileNotFoundError):
            if self.folder is not None:
                (self.folder / name).unlink()
            else:
                self.files.delete_file(f"{self.prefix}/{name}")

    def workplace(self) -> Path:
        """Return a local folder for unfinished files; if the root is a folder, on the same disk."""
        with _named(self.shown):
            if self.folder is not None:
                return private_folder(self.folder / ".unfinished")
            return private_folder(Path(gettempdir()) / f"omc-unfinished-{os.getuid()}")


def in_folder(folder: Path) -> Objects:
    """Return the objects of a folder; it is made with the first one."""
    return Objects(str(folder), folder=folder)


def in_s3(config: StorageConfig, settings: Settings, part: str) -> Objects:
    """Return the objects of the configured bucket, below its prefix and the name of a part.

    Raises:
        OmcError: The keys are refused, or the store can't be reached.
    """
    from pyarrow.fs import S3FileSystem  # 0.3 s

    parts = urlsplit(config.s3)
    prefix = "/".join(piece for piece in (parts.netloc, parts.path.strip("/"), part) if piece)
    endpoint = urlsplit(config.s3_endpoint)
    options: dict[str, Any] = {"connect_timeout": _CONNECT_S, "request_timeout": _REQUEST_S, "background_writes": False}
    if config.s3_region:
        options["region"] = config.s3_region
    if endpoint.netloc:
        options |= {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
    key, secret = settings.key("s3"), settings.key("s3_secret")
    if key and secret:
        options |= {"access_key": key, "secret_key": secret}
    with _named(config.s3):
        return Objects(f"{config.s3}/{part}", files=S3FileSystem(**options), prefix=prefix)


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Convert failures of a disk or a store to errors of OMC; answers of a store contain no secrets."""
    try:
        yield
    except OmcError:
        raise
    except (PermissionError, FileNotFoundError) as error:
        raise AccessDeniedError(f"{where}: {_reason(error)}") from error
    except OSError as error:
        if not where.startswith("s3://"):  # the name of a folder says nothing about rights
            raise MachineError(f"{where}: {_reason(error)}") from error
        if any(mark in str(error) for mark in _DENIED):
            raise AccessDeniedError(f"{where}: {_reason(error)}") from error
        raise UpstreamUnavailableError(f"{where}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
