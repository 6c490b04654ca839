"""Where compiled code is kept between processes, and the decorators that make it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar, cast

from numba import config, njit

Code = TypeVar("Code", bound=Callable[..., Any])
_SOURCES = Path(__file__).parent


def keep_compiled_code(folder: Path | None) -> None:
    """Name the folder of compiled code; to be called before the compiled functions are imported.

    numba looks only at the file of the function it compiles to see whether kept code is stale, and functions here are built
    into one another. So each state of this room's sources has a folder of its own, and where that cannot be written nothing
    is kept.

    Args:
        folder: Where ``NUMBA_CACHE_DIR`` is not set; None: beside the sources.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_SOURCES.glob("*.py")))).hexdigest()[:16]
    base = Path(config.CACHE_DIR) if config.CACHE_DIR else folder or _SOURCES / "__pycache__"
    place = base if base.name == digest else base / digest
    config.CACHE_DIR = str(place) if _is_writable(place) else ""


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def compiled(function: Code) -> Code:
    """Compile a function when it is first called, and keep the code; other threads run meanwhile.

    Arrays are lent for the time of the call. Without ``_nrt=False``, numba counts references to each of them at every inner
    call, which took three quarters of the time (measured).
    """
    return cast("Code", njit(cache=bool(config.CACHE_DIR), nogil=True, _nrt=False, no_cfunc_wrapper=True)(function))


def inlined(function: Code) -> Code:
    """Compile a function into those that call it."""
    return cast("Code", njit(forceinline=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function))
