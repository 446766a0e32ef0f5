"""The command line: every verb in the order of `sparring --help`, and how an error ends a command.

A verb parses its options, calls one function, prints. Torch is imported inside verbs only.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from sparring import __version__
from sparring.cli.evaluating import attack_endurance, evaluate, robustness, sample
from sparring.cli.folders import inspect, prepare, report, verify
from sparring.cli.listing import list_, show, theory
from sparring.cli.reproducing import reproduce
from sparring.cli.serving import play, watch
from sparring.cli.taking import cite, export
from sparring.cli.training import demo, finetune, resume, sweep, train
from sparring.cli.usage import WrongUsage, usage_error
from sparring.core.errors import SparringError, StorageError, print_error, print_text, unexpected

__all__ = ["app", "main"]

app = typer.Typer(
    name="sparring",
    help="Train GANs under attack, and measure what that does to both players.",
    epilog="With any verb, --debug prints the traceback of an error.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Prepare and inspect data sets.")

_VERBS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "train": train,
    "resume": resume,
    "watch": watch,
    "sweep": sweep,
    "evaluate": evaluate,
    "robustness": robustness,
    "attack-endurance": attack_endurance,
    "finetune": finetune,
    "sample": sample,
    "report": report,
    "play": play,
    "export": export,
    "cite": cite,
    "reproduce": reproduce,
    "list": list_,
    "show": show,
    "theory": theory,
    "verify": verify,
}
for _name, _verb in _VERBS.items():
    app.command(_name)(_verb)
data.command("prepare")(prepare)
data.command("inspect")(inspect)
app.add_typer(data, name="data")


@app.callback(invoke_without_command=True)
def _sparring(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    if version:
        print_text(f"sparring {__version__}")
        raise typer.Exit
    _help_without_verb(context)


@data.callback(invoke_without_command=True)
def _help_without_verb(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run the command line; leave with an exit code as in docs/how-to/commands.md."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    sys.path.insert(0, "")  # a recipe may name a class of a module in the working folder
    try:
        sys.exit(app(args=arguments, prog_name="sparring", standalone_mode=False) or 0)
    except Exception as error:
        if debug:
            traceback.print_exc()
        reported = _as_sparring_error(error)
        print_error(reported)
        sys.exit(reported.exit_code)


_OUT_OF_MEMORY = ("can't allocate memory", "out of memory")
"""What torch's RuntimeErrors say about the memory of a CPU and of a GPU."""


def _as_sparring_error(error: Exception) -> SparringError:
    if isinstance(error, SparringError):
        return error
    if isinstance(error, WrongUsage):
        return usage_error(error)
    if isinstance(error, OSError):
        return StorageError.from_os(error, "the file system")
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _OUT_OF_MEMORY):
        reason = (str(error) or "allocation failed").splitlines()[0]
        return SparringError(f"out of memory: {reason}", "make batch_size, replicas or the networks smaller")
    return unexpected(error, "run it again with --debug for the traceback")
