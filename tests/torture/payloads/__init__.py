"""Broken and hostile data, kind by kind: how each is planted, and what the library is to make of it."""

from __future__ import annotations

from torture.payloads import arrays, containers, distributed, folders, images, stores, tables
from torture.payloads.case import Case

CASES: tuple[Case, ...] = tuple(
    case for module in (images, arrays, tables, folders, containers, distributed, stores) for case in module.CASES
)
