"""The file of a backup: a tar archive with a manifest, a dump and ``omc.toml``, encrypted by age as it is written.

``age --decrypt --identity KEY_FILE backup | tar x`` opens it without OMC. age authenticates every part and the end, so a file that was
changed or cut short is refused.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from omc_infra.backups.content import Digest
from omc_infra.errors import BadInputError

if TYPE_CHECKING:
    from pyrage import x25519

FORMAT: Final = "omc-backup/1"
MANIFEST, DUMP, CONFIGURATION = "manifest.json", "database.dump", "omc.toml"
_MOST_MANIFEST_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Manifest:
    """What a backup is of.

    Attributes:
        profile: ``sandbox`` or ``live``.
        database: Name of the database; the names of its roles are made from it.
        revision: Of the schema.
        made_at: ISO 8601, UTC.
        server: Version of PostgreSQL.
        tables: Digest of each table by ``schema.table``.
        has_configuration: Whether ``omc.toml`` is in it.
    """

    profile: str
    database: str
    revision: str
    made_at: str
    server: str
    tables: Mapping[str, Digest]
    has_configuration: bool
    format: str = FORMAT

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(count for count, _ in self.tables.values())


def write_archive(out: Path, manifest: Manifest, dump: Path, configuration: Path | None, key: x25519.Recipient) -> None:
    """Write a backup's file; ``out`` must not exist.

    Raises:
        OSError: The disk is full, or the like.
    """
    import pyrage

    def pack(stream: IO[bytes]) -> None:
        with tarfile.open(fileobj=stream, mode="w|") as archive:
            written = json.dumps(asdict(manifest), sort_keys=True).encode()
            entry = tarfile.TarInfo(MANIFEST)
            entry.size = len(written)
            archive.addfile(entry, io.BytesIO(written))
            if configuration is not None:
                archive.add(configuration, CONFIGURATION, filter=_bare)
            archive.add(dump, DUMP, filter=_bare)

    with open(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 a descriptor with its mode
        _through_a_pipe(pack, lambda stream: pyrage.encrypt_io(stream, file, [key]))
        file.flush()
        os.fsync(file.fileno())


def read_archive(file: Path, key: x25519.Identity, folder: Path) -> Manifest:
    """Open a backup's file into a folder, and return what it says of itself.

    Raises:
        BadInputError: It can't be read, another key made it, it was changed or cut short, or it is no backup.
    """
    import pyrage

    def unpack(stream: IO[bytes]) -> None:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for entry in archive:
                if entry.isfile() and entry.name in {MANIFEST, DUMP, CONFIGURATION}:
                    archive.extract(entry, folder, filter="data")
        while stream.read(2**20):  # the end must have been read, for only it shows that nothing is missing
            pass

    try:
        with file.open("rb") as source:
            _through_a_pipe(lambda stream: pyrage.decrypt_io(source, stream, [key]), unpack)
        document = json.loads((folder / MANIFEST).read_bytes()[:_MOST_MANIFEST_BYTES])
        tables = {name: (int(count), str(total)) for name, (count, total) in document.pop("tables").items()}
        manifest = Manifest(tables=tables, **document)
    except pyrage.DecryptError as error:
        raise BadInputError(f"{file}: can't be decrypted: another key, changed, or cut short ({error})") from None
    except OSError as error:
        raise BadInputError(f"{file}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, tarfile.TarError) as error:
        raise BadInputError(f"{file}: is no backup of OMC, or was cut short") from error
    if manifest.format != FORMAT or not (folder / DUMP).is_file():
        raise BadInputError(f"{file}: is no backup of the format {FORMAT}")
    return manifest


def _bare(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _through_a_pipe(write: Callable[[IO[bytes]], Any], read: Callable[[IO[bytes]], Any]) -> None:
    """Run two sides of a stream at once; the writer's failure counts first, for the reader then sees an end only."""
    incoming, outgoing = os.pipe()
    failures: list[BaseException] = []

    def feed() -> None:
        try:
            with open(outgoing, "wb") as stream:  # noqa: PTH123 a descriptor
                write(stream)
        except BrokenPipeError:  # the reader ended; its own failure says why
            pass
        except BaseException as error:  # noqa: BLE001 raised in the caller's thread
            failures.append(error)

    writer = threading.Thread(target=feed, name="backup")
    writer.start()
    failure: BaseException | None = None
    try:
        with open(incoming, "rb") as stream:  # noqa: PTH123 a descriptor
            read(stream)
    except BaseException as error:  # noqa: BLE001 raised below
        failure = error
    writer.join()
    if failures:
        raise failures[0]
    if failure is not None:
        raise failure
