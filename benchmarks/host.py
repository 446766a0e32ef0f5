"""Everything but training: data loading, Frechet statistics, start-up time, memory."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.case import Candidate, Case, Line, compared
from benchmarks.ceiling import Ceiling
from benchmarks.timing import Work
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import IMAGE_BOUNDS
from sparring.data import ArraySource, Facts, ImageArrays
from sparring.metrics.frechet import frechet_distance

_IMAGES, _BATCH, _BATCHES = 2048, 64, 20
_STATISTICS, _FEATURES = 10_000, 512
_HELPS, _ROUNDS = 10, 20_000
_TOY = "dishonest/ring-small"
_ROOT = Path(__file__).parents[1]


class _Files(Dataset[Tensor]):
    """PNG files, decoded on access."""

    def __init__(self, images: Tensor, folder: Path) -> None:
        self._paths = [folder / f"{number}.png" for number in range(len(images))]
        for path, image in zip(self._paths, images, strict=True):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> Tensor:
        with Image.open(io.BytesIO(self._paths[number].read_bytes())) as image:
            pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
            return pixels.reshape(image.height, image.width, 3).permute(2, 0, 1).float().div_(127.5).sub_(1)


def _loading(ceiling: Ceiling) -> list[Line]:
    images = Rng.of(0).integers((_IMAGES, 3, 32, 32), 256).byte()
    arrays = ImageArrays(images, None)
    source = ArraySource(Facts((3, 32, 32), IMAGE_BOUNDS), arrays, arrays, scale=127.5, device=torch.device("cpu"))
    streams, numbers = Streams(0), iter(range(1 << 30))

    def from_store() -> None:
        for _ in range(_BATCHES):
            source.batch(next(numbers), _BATCH, streams)

    with tempfile.TemporaryDirectory() as folder:
        loader = DataLoader(_Files(images, Path(folder)), _BATCH, shuffle=True, drop_last=True)

        def endless() -> Iterator[Tensor]:
            while True:
                yield from loader

        batches = endless()

        def from_files() -> None:
            for _ in range(_BATCHES):
                next(batches)

        works = [Candidate("DataLoader over PNG files", from_files), Candidate("store", from_store)]
        return compared(works, ceiling, unit=f"s for {_BATCHES} batches of {_BATCH}")


def _statistics(ceiling: Ceiling) -> list[Line]:
    ones, others = (Rng.of(seed).normal((_STATISTICS, _FEATURES)) for seed in range(2))

    def square_root() -> None:
        """The distance by a matrix square root, as it is often written."""
        from scipy.linalg import sqrtm

        (mean, spread), (mean_2, spread_2) = ((x.double().mean(0), torch.cov(x.double().T)) for x in (ones, others))
        root = torch.from_numpy(sqrtm((spread @ spread_2).numpy()).real)
        _ = (mean - mean_2).square().sum() + torch.trace(spread + spread_2 - 2 * root)

    works = [
        Candidate("by the root of a matrix", square_root),
        Candidate("ours", lambda: frechet_distance(ones, others)),
    ]
    return compared(works, ceiling, unit=f"s for {_STATISTICS:,} x {_FEATURES} features")


def _python(*arguments: str) -> str:
    """The output of a new Python process in the root of the repository."""
    done = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True, cwd=_ROOT)
    return done.stdout


def _first_step(ceiling: Ceiling) -> list[Line]:
    code = (
        "from benchmarks.host import toy_rounds; toy_rounds(1)",
        "import torch",
    )
    works: list[Work] = [lambda each=each: _python("-c", each) for each in reversed(code)]  # type: ignore[misc]
    names = ("import torch", "until the end of the first round")
    return compared([Candidate(*pair) for pair in zip(names, works, strict=True)], ceiling, unit="s", turns=3)


def _help(_ceiling: Ceiling) -> list[Line]:
    before = _children()
    for _ in range(_HELPS):
        _python("-m", "sparring", "--help")
    return [Line(f"sparring --help, the mean of {_HELPS}", (_children() - before) / _HELPS, "s of CPU")]


def _children() -> float:
    """CPU seconds of all processes that have ended; many systems count them in steps of 10 ms."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def toy_rounds(rounds: int) -> None:
    """Train a small game."""
    from sparring.gan.state import GANState
    from sparring.gan.step import play_round
    from sparring.recipes import load, require_game
    from sparring.runs.environment import choose_device

    recipe = require_game(load(_TOY, ["replicas=1"]), _TOY)
    place = choose_device("cpu")
    game = GANState(recipe, recipe.data.open(place), place)
    for step in range(rounds):
        play_round(game, step % recipe.steps)


_GROWTH = f"""
import resource
from benchmarks.host import toy_rounds
toy_rounds({_ROUNDS // 4})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
toy_rounds({_ROUNDS})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def _memory(_ceiling: Ceiling) -> list[Line]:
    grown = int(_python("-c", _GROWTH)) / (2**20 if sys.platform == "darwin" else 2**10)
    return [Line(f"{_ROUNDS:,} rounds of {_TOY}", grown, "MB more at most")]


CASES = (
    Case("data", "batches from a store, against decoded files", _loading),
    Case("frechet", f"Frechet distance of {_STATISTICS:,} images' features", _statistics),
    Case("first-step", "a new process, until the end of its first round", _first_step),
    Case("help", "sparring --help, in seconds of CPU", _help),
    Case("memory", "growth of a process's memory over many rounds", _memory),
)
