"""Which version of this package wrote a run: said where another one cannot read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from sparring.core.errors import CorruptInput, UsageError, printable
from sparring.core.strict import read_mapping

OURS = version("sparring")


@contextmanager
def naming_the_version(run: Path) -> Iterator[None]:
    """Tell what of a run cannot be read, and which version wrote it if that is another one.

    Raises:
        CorruptInput: within the block something was refused.
    """
    try:
        yield
    except (UsageError, CorruptInput) as error:
        wrote = written_by(run)
        if wrote in ("", OURS):
            remedy = "restore the file" if isinstance(error, UsageError) else error.remedy
            raise CorruptInput(error.cause, remedy) from None
        first = error.cause.partition("\n")[0]
        cause = f"{run}: written by sparring {wrote}, and this is {OURS}, which cannot read it: {first}"
        raise CorruptInput(cause, f"open it with sparring {wrote}") from None


def written_by(run: Path) -> str:
    """The version that a run says it was written by, or nothing where it does not say."""
    try:
        found = read_mapping(run / "environment.json")["packages"]["sparring"]
    except (CorruptInput, OSError, KeyError, TypeError):
        return ""
    return printable(found, 40) if isinstance(found, str) else ""
