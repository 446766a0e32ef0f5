"""Options that verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparring.core.errors import UsageError
from sparring.core.process import process_count

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0 keeps torch's default.")]
RunPath = Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]
NewRun = Annotated[Path, typer.Option(help="The run folder to create.")]
GameIndex = Annotated[int, typer.Option(min=0, help="Which game, for a run that packs several.")]
RecipeName = Annotated[str, typer.Argument(help="A name from `sparring list recipes`, or a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Dotted keys, e.g. feedback.probability=0.4"),
]


def set_threads(threads: int) -> None:
    """Set the number of torch's CPU threads; 0 keeps its default."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def require_one_process(verb: str) -> None:
    """Refuse a verb that starts its own processes under torchrun.

    Raises:
        UsageError: torchrun started several processes.
    """
    if process_count() > 1:
        raise UsageError(
            f"{verb}: {process_count()} processes cannot run one sweep", "start it without torchrun: --workers N"
        )
