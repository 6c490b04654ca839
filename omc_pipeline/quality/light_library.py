"""Great Expectations without scipy's statistics, which it imports for expectations that no suite here has: 56 MB a process.

Importing this module imports Great Expectations. Statistics are there all the same: the first use of one loads them. The standard
library's ``LazyLoader`` would not do: whoever looks through ``sys.modules`` for files, as ``inspect`` does, makes it load.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stands for a module of a package until one of its names is used; then it is imported, and stands there itself."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def defer(name: str) -> None:
    """Have a module of a package imported at the first use of one of its names, unless it is imported already.

    Args:
        name: Of the module, with its package's, such as ``scipy.stats``. One that isn't installed is passed over.
    """
    package, _, leaf = name.rpartition(".")
    if name in sys.modules or importlib.util.find_spec(package) is None:
        return
    spec = importlib.util.find_spec(name)
    if spec is None:
        return
    standing = _Deferred(name)
    standing.__spec__, standing.__file__, standing.__loader__ = spec, spec.origin, spec.loader
    sys.modules[name] = standing
    setattr(sys.modules[package], leaf, standing)


# Must stand before the import. 1.24.1 reports nothing to its vendor, releases before it did, later ones may.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
defer("scipy.stats")
importlib.import_module("great_expectations.expectations")
