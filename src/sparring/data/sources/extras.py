"""Packages that only some sources need, imported when such a source is read."""

from __future__ import annotations

import importlib
from typing import Any

from sparring.core.errors import UsageError


def library(name: str, *, extra: str) -> Any:
    """A package, or who to ask for it.

    Args:
        name: of the module.
        extra: of sparring, which installs it.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(f"reading this source needs {name!r}", f"pip install 'sparring[{extra}]'") from None
