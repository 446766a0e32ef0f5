"""All promises: every module of this package that has a PROMISE."""

from __future__ import annotations

import importlib
import pkgutil

import torture
from torture.promise import Promise


def promises() -> list[Promise]:
    """Every promise, by number."""
    modules = [importlib.import_module(f"torture.{found.name}") for found in pkgutil.iter_modules(torture.__path__)]
    return sorted(
        (module.PROMISE for module in modules if hasattr(module, "PROMISE")), key=lambda promise: promise.number
    )
