"""Mistakes of the command line, which typer finds, in the two lines of every other error."""

from __future__ import annotations

from typing import Any

import typer

from sparring.core.errors import UsageError

WrongUsage: Any = typer.BadParameter.__mro__[2]
"""The base of all of typer's errors; it is in another module in every release."""
_KEYS = ("overrides", "grid")
"""Arguments of verbs that take keys of a recipe."""


def usage_error(error: Any) -> UsageError:
    """A mistake of the command line with its remedy.

    Args:
        error: a `WrongUsage`.
    """
    context = error.ctx
    command = context.command_path if context else "sparring"
    message = error.format_message().removesuffix(".").replace("Value error, ", "")
    return UsageError(f"{command}: {_uncapitalised(message)}", _remedy(error, context, command))


def _remedy(error: Any, context: Any, command: str) -> str:
    parameters = context.command.params if context else ()
    option, missing = getattr(error, "option_name", ""), getattr(error, "param", None)
    if option and any(each.name in _KEYS for each in parameters):
        return f"a key of the recipe is written {option.lstrip('-')}=VALUE; options are in `{command} --help`"
    text = (getattr(missing, "help", "") or "").removesuffix(".")
    meaning = f"{_uncapitalised(text)}; " if text else ""
    return f"{meaning}see `{command} --help`"


def _uncapitalised(text: str) -> str:
    """The text with a small first letter, unless its first word is an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
