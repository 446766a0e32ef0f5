"""Verbs that take something out of a run: export, cite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sparring.cli.terminal import AsJson, GameIndex, RunPath, print_json, print_problems
from sparring.core.errors import print_text


def export(
    run: RunPath,
    form: Annotated[
        Literal["hub", "pt2", "onnx"],
        typer.Option("--as", help="hub: weights and config; pt2: a program of torch.export; onnx: an ONNX file."),
    ] = "hub",
    what: Annotated[
        Literal["generator", "discriminator", "classifier"] | None,
        typer.Option(
            help="The network; the classifier of a GAN is D's class head.", show_default="G, or the classifier"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder to create.", show_default="RUN/exports/WHAT-FORM[-GAME]"),
    ] = None,
    game: GameIndex = 0,
    as_json: AsJson = False,
) -> None:
    """Write a network of a run, with a model card, to use elsewhere. Images go in and come out in [0, 1]."""
    from sparring.export import export_run

    result = export_run(run, out, form=form, what=what, game=game)
    if as_json:
        print_json(result.as_json())
        return
    print_problems(result.problems)
    print_text(f"{result.folder}: {', '.join(result.files)}")
    print_text(f"weights: {result.config.weights}")
    print_text(f"outputs differ from those of the run's network by at most {result.difference:.1g} of the largest")


def cite(run: RunPath, as_json: AsJson = False) -> None:
    """Print the BibTeX of the papers whose pieces a run used."""
    from sparring.citations import citations_of, own_pieces, software_entry
    from sparring.runs.folder import RunFolder

    folder = RunFolder.open(run)
    recipe, summary = folder.recipe(), folder.summary()
    citations = citations_of(recipe, summary.metrics if summary else ())
    own = own_pieces(recipe)
    if as_json:
        papers = [{"key": each.key, "used": each.used, "bibtex": each.bibtex} for each in citations]
        print_json({"software": software_entry(), "papers": papers, "own": own})
        return
    entries = [f"% {', '.join(each.used)}\n{each.bibtex}" for each in citations]
    print_text("\n\n".join([software_entry(), *entries]))
    if own:
        print_text(f"\n% Code of others, with papers of its own perhaps: {', '.join(own)}")
