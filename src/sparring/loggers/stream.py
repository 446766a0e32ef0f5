"""The log of a run as one stream of rows: opened with its sinks, closed at the end of the training."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from importlib.metadata import EntryPoint, entry_points

from sparring.core.errors import SparringError, UsageError
from sparring.core.process import Progress
from sparring.core.records import nearest
from sparring.loggers.base import LoggedRun, LogSink, MakeSink, Row
from sparring.loggers.files import JsonLines, TensorBoard
from sparring.loggers.services import MLflow, WeightsAndBiases
from sparring.recipes import TrainingRecipe
from sparring.runs.folder import RunFolder

GROUP = "sparring.loggers"
"""The entry points of other packages."""
_OURS: dict[str, MakeSink] = {"mlflow": MLflow, "wandb": WeightsAndBiases}
RowWriter = Callable[[Row], None]


def require_loggers(names: Sequence[str]) -> list[tuple[str, MakeSink]]:
    """The loggers of these names, before a training begins.

    Raises:
        UsageError: there is no such logger, or its package is not installed.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    return [(name, _loaded(name, found)) for name in dict.fromkeys(names)]


@contextmanager
def row_stream(
    run: RunFolder, recipe: TrainingRecipe, start: int, loggers: Sequence[str], progress: Progress
) -> Iterator[RowWriter]:
    """A function that writes a row to metrics.jsonl, to TensorBoard if it is installed, and to the loggers named.

    A logger by name that fails is given up with a note: the training goes on, and metrics.jsonl has every row.

    Args:
        run: whose log it is.
        recipe: of the run.
        start: the round that the run continues from.
        loggers: names of further sinks.
        progress: receives notes.

    Raises:
        UsageError: there is no such logger.
        StorageError: the disk refused.
    """
    logged = LoggedRun(run.path, recipe.model_dump(mode="json"), start, _key(run))
    sinks: list[LogSink] = [JsonLines(logged)]
    with ExitStack() as opened:
        if importlib.util.find_spec("tensorboard"):
            sinks.append(opened.enter_context(closing(TensorBoard(logged))))
        for name, make in require_loggers(loggers):
            sinks.append(opened.enter_context(closing(_Optional(name, make, logged, progress))))
        yield lambda row: _write(sinks, row)


def _write(sinks: Sequence[LogSink], row: Row) -> None:
    for sink in sinks:
        sink.write(row)


class _Optional:
    """A sink without which the training goes on."""

    def __init__(self, name: str, make: MakeSink, run: LoggedRun, progress: Progress) -> None:
        self._name, self._progress = name, progress
        self._sinks: list[LogSink] = []
        self._try(lambda: self._sinks.append(make(run)))

    def write(self, row: Row) -> None:
        self._try(lambda: _write(self._sinks, row))

    def close(self) -> None:
        for sink in self._sinks:
            self._try(sink.close)

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except SparringError:
            raise
        except Exception as error:  # of a service and its network
            self._sinks = []
            first = (str(error) or type(error).__name__).splitlines()[0]
            self._progress.note(f"logger {self._name}: given up ({first}); metrics.jsonl has every row")


def _loaded(name: str, found: dict[str, EntryPoint]) -> MakeSink:
    if name in _OURS:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"logger {name}: {name} is not installed", f"pip install 'sparring[{name}]'")
        return _OURS[name]
    if name not in found:
        known = sorted([*_OURS, *found])
        close = nearest(name, known)
        hint = f"; did you mean {close}?" if close else ""
        raise UsageError(f"logger {name!r}: no such logger{hint}", f"one of: {', '.join(known)}")
    try:
        make: MakeSink = found[name].load()
    except Exception as error:  # any code may run on import
        raise UsageError(
            f"logger {name}: cannot be imported: {type(error).__name__}: {error}", "install its package again"
        ) from None
    return make


def _key(run: RunFolder) -> str:
    """A name that the run keeps when it is resumed: of its folder and of the moment at which it was made."""
    made = (run.path / "environment.json").stat().st_mtime_ns
    return hashlib.sha256(f"{run.path.resolve()} {made}".encode()).hexdigest()[:16]
