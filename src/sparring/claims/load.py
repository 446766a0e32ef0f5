"""Claims by name, from the files of this package and from files of users."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path

from sparring.claims.claim_schema import FILE_NAME, RUNS, Claim, ClaimFile
from sparring.core.errors import UsageError
from sparring.core.records import nearest
from sparring.recipes import parse_yaml

_REMEDY = "docs/claims.md has the keys"


@functools.cache
def claim_files() -> dict[str, ClaimFile]:
    """The files of this package, by short name of the paper."""
    folder = resources.files("sparring.claims.papers")
    texts = {
        file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    }
    return {name: parse_claims(text, f"{name}.yaml") for name, text in sorted(texts.items())}


def read_claims(path: Path) -> ClaimFile:
    """A user's file of claims.

    Raises:
        UsageError: it is no file, or not UTF-8 text.
        InvalidRecord: it does not validate; names every mistake.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}", "give a YAML file of claims") from None
    return parse_claims(text, str(path))


def parse_claims(text: str, what: str) -> ClaimFile:
    """The claims in a YAML text.

    Raises:
        InvalidRecord: it does not validate; names every mistake.
    """
    return ClaimFile.validated(parse_yaml(text, what), what, _REMEDY)


def all_claims(extra: Path | None = None) -> dict[str, Claim]:
    """Every claim, as `PAPER/NAME`.

    Args:
        extra: a user's file; its claims are under the name of the file.

    Raises:
        UsageError: the file cannot be read, or its name is taken or none for a folder.
        InvalidRecord: it does not validate; names every mistake.
    """
    files = dict(claim_files())
    if extra is not None:
        if extra.stem in (*files, RUNS) or not FILE_NAME.fullmatch(extra.stem):
            cause = f"{extra}: claims are named after their file, and {extra.stem!r} is taken or has other signs than "
            raise UsageError(cause + "letters, digits, - and _", "rename the file")
        files[extra.stem] = read_claims(extra)
    return {f"{paper}/{name}": claim for paper, file in files.items() for name, claim in file.claims.items()}


def chosen(claims: dict[str, Claim], names: list[str]) -> dict[str, Claim]:
    """The claims of these names; the name of a paper chooses all of its claims.

    Raises:
        UsageError: there is none of this name; says the nearest.
    """
    found: dict[str, Claim] = {}
    for name in names:
        matching = {full: claim for full, claim in claims.items() if full == name or full.startswith(f"{name}/")}
        if not matching:
            close = nearest(name, claims)
            hint = f"; did you mean {close}?" if close else ""
            raise UsageError(f"{name}: no such claim{hint}", "`sparring reproduce` lists them")
        found |= matching
    return found
