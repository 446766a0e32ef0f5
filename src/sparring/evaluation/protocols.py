"""The table of published protocols, protocols.yaml."""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Literal

import yaml
from pydantic import Field

from sparring.core.errors import UsageError
from sparring.core.records import Count, Record, nearest


class PublishedProtocol(Record):
    """How a published figure was measured.

    Args:
        name: in the table.
        figure: what was published.
        stated: where the paper or its code says so.
        remark: what is not as there.
        generated: images.
        splits: of them, for the inception score.
        reference: `training`, all images of the training split, from which the Fréchet distance of the generated ones
            is measured; `none`, there is no distance.
        best_of: runs of which the paper reports the best.
        last_epochs: epochs at the end of the training over whose measurements the paper takes a mean; 0, none.
    """

    name: str
    figure: str
    stated: str
    remark: str = ""
    generated: Annotated[int, Field(ge=2)]
    splits: Annotated[int, Field(ge=2)]
    reference: Literal["none", "training"] = "none"
    best_of: Count = 1
    last_epochs: Annotated[int, Field(ge=0)] = 0


def _table() -> dict[str, PublishedProtocol]:
    text = resources.files("sparring.evaluation").joinpath("protocols.yaml").read_text(encoding="utf-8")
    return {name: PublishedProtocol(name=name, **values) for name, values in yaml.safe_load(text).items()}


PROTOCOLS = _table()
"""By name."""


def protocol_named(name: str) -> PublishedProtocol:
    """The protocol of a name.

    Raises:
        UsageError: there is none.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    close = nearest(name, PROTOCOLS)
    hint = f"; did you mean {close}?" if close else ""
    raise UsageError(f"--protocol {name!r}: no such protocol{hint}", f"one of: {', '.join(PROTOCOLS)}")
