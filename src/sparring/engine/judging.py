"""The auxiliary classifier that judges generated images: trained by the tool, once for each data set, and cached.

Source: Xu, Li, Jegelka, appendix B.2.3, which uses one without saying which.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.data import Source
from sparring.engine.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from sparring.errors import CorruptInput, StorageError
from sparring.metrics import Judge
from sparring.networks import Classifier, SmallCNN
from sparring.randomness import Rng, Streams

IMAGES_SEEN = 120_000
BATCH_SIZE = 100
_VERSION = 1


def cache_folder() -> Path:
    """Where trained classifiers are kept: $SPARRING_CACHE, or the user's cache folder."""
    base = os.environ.get("SPARRING_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "sparring"
    )
    return Path(base) / "classifiers"


def judge_for(source: Source, device: torch.device) -> Judge | None:
    """A classifier of labelled images, from the cache or trained now; None for other data."""
    facts = source.facts
    if not facts.classes or len(facts.shape) != 3 or min(facts.shape[1:]) < 4:
        return None
    spec = SmallCNN(classes=len(facts.classes))
    network = spec.build(facts.space, (), rng=Streams(0).rng("init/classifier")).to(device)
    key = hashlib.sha256(f"{_VERSION}/{facts.fingerprint}/{facts.shape}/{spec.model_dump_json()}".encode())
    path = cache_folder() / key.hexdigest()[:16]
    accuracy = _cached(path, network) if facts.fingerprint else None
    if accuracy is None:
        accuracy = _train(network, source, device)
        if facts.fingerprint:
            _store(path, network, accuracy)
    return Judge(_logits(network.eval()), _describe(spec, accuracy))


def _cached(path: Path, network: nn.Module) -> float | None:
    """Take the weights from the cache and return their accuracy, or None; a damaged entry is removed."""
    try:
        saved = read_checkpoint(path)
        network.load_state_dict(saved.tensors)
        return float(saved.state["accuracy"])
    except (CorruptInput, RuntimeError, KeyError):
        shutil.rmtree(path, ignore_errors=True)
        return None


def _train(network: nn.Module, source: Source, device: torch.device) -> float:
    """Adam 1e-3 with linear decay over `IMAGES_SEEN` images; returns the accuracy on held-out samples."""
    streams = Streams(0, None, device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    rounds = IMAGES_SEEN // BATCH_SIZE
    for number in range(rounds):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - number / rounds)
        batch = source.batch(number, BATCH_SIZE, streams)
        assert batch.labels is not None
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(batch.samples), batch.labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    test = source.held_out(10_000, rng=Rng.of(0, device))
    assert test.labels is not None
    predicted = _logits(network.eval())(test.samples).argmax(dim=1)
    return float((predicted == test.labels).float().mean())


def _store(path: Path, network: nn.Module, accuracy: float) -> None:
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(path, Checkpoint(tensors, {"accuracy": accuracy}))
    except (OSError, StorageError):
        return  # A cache that cannot be written (a full disk, or another process was first) costs time, not truth.


def _logits(network: nn.Module) -> Callable[[Tensor], Tensor]:
    @torch.no_grad()
    def logits(samples: Tensor) -> Tensor:
        return torch.cat([network(part) for part in torch.split(samples, 1000)])

    return logits


def _describe(spec: Classifier, accuracy: float) -> str:
    return f"{spec.name} trained here, {100 * accuracy:.1f} % right on held-out data"
