"""Verbs about folders: report, verify, data prepare, data inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sparring.cli.terminal import AsJson, print_json, show_progress
from sparring.core.errors import print_text


def report(
    path: Annotated[Path, typer.Argument(help="A run folder, an evaluation, or a folder of run folders.")],
    measure: Annotated[
        list[str] | None,
        typer.Option(help="A logged number that runs are compared by; may be repeated.", show_default="the main ones"),
    ] = None,
    group_by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="A key of the recipe with a line for each value; may be repeated.",
            show_default="all that differ, but for the seed",
        ),
    ] = None,
    unit: Annotated[
        Literal["rounds", "epochs", "images", "updates", "seconds"],
        typer.Option("--x", help="What the lines are drawn over; updates are those of D."),
    ] = "rounds",
    level: Annotated[
        list[str] | None,
        typer.Option(metavar="MEASURE=VALUE", help="Time until a measure is this good; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write report.html for a run or an evaluation, or one page for all runs in a folder, which the options compare."""
    from sparring.report import Comparison, report_folder, times_to_levels

    comparison = Comparison(tuple(measure or ()), tuple(group_by or ()), unit, tuple(level or ()))
    page = report_folder(path, comparison)
    if as_json:
        tables = times_to_levels(path, comparison.levels, comparison.group_by) if level else []
        print_json({"report": str(page), "levels": [table.as_json() for table in tables]})
    else:
        print_text(str(page))


def verify(
    path: Annotated[Path, typer.Argument(help="A run folder or a prepared store.")], as_json: AsJson = False
) -> None:
    """Check every checksum of a run's checkpoints, or of a store."""
    from sparring.evaluation.verify import verify as verify_files

    checked = verify_files(path)
    print_json({"sound": checked}) if as_json else print_text("\n".join(f"{name}: sound" for name in checked))


def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="digits, a hub id, an .npz file, or a folder: CelebA, LSUN, ImageNet, Parquet, IDX, images."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The store to create.")] = ...,  # type: ignore[assignment]
    size: Annotated[int | None, typer.Option(min=4, help="Centre-crop and resize to this side.")] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FIRST..LAST", help="Keep these classes only, counted from 0.")
    ] = None,
    min_side: Annotated[int | None, typer.Option(min=1, help="Drop images with a side of fewer pixels.")] = None,
    crop: Annotated[
        int | None, typer.Option(min=4, help="Keep the middle square of this many pixels, then resize.")
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="F",
            help="Share of every class that is held out, 0 for none.",
            show_default="a tenth, where there is no test split",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the images that are held out.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Turn a data set, or a part of it, into one store of uint8 arrays with checksums.

    A folder has a folder for each class, or train/ and test/ (or val/) with a folder for each class in both.
    """
    from sparring.data import Selection, label_range
    from sparring.data import prepare as prepare_data

    chosen = {
        "labels": None if labels is None else label_range(labels),
        "min_side": min_side,
        "crop": crop,
        "test_fraction": test_fraction,
        "seed": seed,
    }
    selection = Selection.validated(chosen, "the selection", "see `sparring data prepare --help`")
    with show_progress("images") as progress:
        manifest = prepare_data(source, out, size=size, selection=selection, progress=progress)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    splits = ", ".join(f"{split.count:,} {name}" for name, split in manifest.splits.items())
    print_text(f"{out}: {splits}; {len(manifest.classes)} classes; samples of {manifest.shape}")
    print_text(manifest.what_is_held_out)
    for name, split in manifest.splits.items():
        left_out = selection.left_out(split.dropped)
        if left_out:
            print_text(f"dropped of {name}: {left_out}")


def inspect(store: Annotated[Path, typer.Argument(help="A prepared store.")], as_json: AsJson = False) -> None:
    """Describe the contents of a store."""
    from sparring.data import describe
    from sparring.recipes import dump_yaml

    facts = describe(store)
    print_json(facts) if as_json else print(dump_yaml(facts), end="")
