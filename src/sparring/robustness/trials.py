"""Trials: threats on all samples of a target, batch by batch; saved batches survive a kill."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool
from safetensors.torch import save
from torch import Tensor

from sparring.attacks import Dimming, Fooled, Threat, fool, scales
from sparring.core.files import read_file, storage_errors, sweep_partial, write_whole
from sparring.core.modules import noise_from
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Samples
from sparring.robustness.model_checks import network_state
from sparring.robustness.targets import Target, rate
from sparring.robustness.transfer import adversarial_batches
from sparring.runs.robustness_schema import ThreatResult
from sparring.runs.tensors import tensors_in

SHOWN = 8
"""Samples kept as example images."""
_SECONDS = "seconds"
_DIGITS = 32
"""Of the name of a saved batch, in hexadecimal."""


class Trial(NamedTuple):
    """The outcome of one threat on a target.

    Args:
        result: its entry of robustness.json.
        correct: which samples are classified correctly, clean and attacked; wrong where an earlier threat fooled and
            this one tries only the rest.
        shown: the first attacked samples.
    """

    result: ThreatResult
    correct: Bool[Tensor, " n"]
    shown: Samples


@dataclass(frozen=True)
class Trials:
    """Tries threats on a target.

    Args:
        target: left unchanged, bit for bit.
        seed: of everything random.
        folder: where finished batches are kept, until `clear` deletes them; None keeps none.
        advance: called after every batch.
    """

    target: Target
    seed: int
    folder: Path | None = None
    advance: Callable[[], None] = lambda: None

    def of(self, threat: Threat, fooled: Bool[Tensor, " n"] | None = None) -> Trial:
        """Try a threat with all of its restarts and targets.

        Args:
            threat: the attack and its settings.
            fooled: samples that are not tried, since an earlier threat has fooled them.
        """
        target = self.target
        tried = torch.ones_like(target.labels, dtype=torch.bool) if fooled is None else ~fooled
        parts, seconds = list[Fooled](), 0.0
        everything = torch.arange(len(tried), device=tried.device)
        for number, rows in enumerate(torch.split(everything, target.batch_size)):
            part, took = self._batch(threat, number, rows[tried[rows]])
            parts, seconds = [*parts, part], seconds + took
            self.advance()
        found = Fooled(*(torch.cat(each) for each in zip(*parts, strict=True)))
        correct = tried.clone()
        correct[tried] = ~found.fooled
        shown, among = target.samples[:SHOWN].clone(), tried[:SHOWN]
        shown[among] = found.samples[: int(among.sum())]
        return Trial(threat_result(threat, target, found, correct, seconds), correct, shown)

    def transfer(self, source: Target, threat: Threat) -> Trial:
        """Try the adversarial samples of another network of the same task; only the target's own calls are counted."""
        began, target, labels = time.perf_counter(), self.target, self.target.labels
        rng = self._rng(threat, "")
        judged = rng.branch("noise of verdicts")
        source = replace(source, samples=target.samples, labels=labels)
        shown, logits = target.samples[:0], list[Tensor]()
        for moved, _ in adversarial_batches(source, threat, rng=rng):
            shown = shown if logits else moved[:SHOWN]
            with noise_from(judged):
                logits.append(target.predicted_logits(moved))
        before, after = target.predicted_logits(target.samples), torch.cat(logits)
        losses = (threat.criterion.loss(each, labels) for each in (before, after))
        wrong = (before.argmax(1) != labels) | (after.argmax(1) != labels)
        calls = (torch.full_like(labels, count) for count in (2, 0))
        named = threat.model_copy(update={"name": f"{threat.name} on {source.name}", "kind": "transfer"})
        found = Fooled(shown, wrong, *losses, *calls)
        self.advance()
        return Trial(threat_result(named, target, found, ~wrong, time.perf_counter() - began), ~wrong, shown)

    def _batch(self, threat: Threat, number: int, rows: Tensor) -> tuple[Fooled, float]:
        """The outcome on the samples of these rows, with the first ones of the first batch, and the seconds it took."""
        if not len(rows):  # which many networks cannot classify
            return self._nothing(), 0.0
        file = self._file(threat, number, rows)
        if file and file.is_file():
            saved = tensors_in(read_file(file), "no saved trial")
            return Fooled(*(saved[name].to(rows.device) for name in Fooled._fields)), saved[_SECONDS].item()
        began, target = time.perf_counter(), self.target
        found = fool(
            threat,
            target.logits,
            target.samples[rows],
            target.labels[rows],
            network=target.network,
            space=target.space,
            rng=self._rng(threat, f"/{number}"),
            through=target.fast_logits,
            batch_size=target.batch_size,
        )
        found = found._replace(samples=found.samples[: 0 if number else SHOWN])
        seconds = torch.tensor(time.perf_counter() - began, dtype=torch.float64)
        if file:
            tensors = {name: each.contiguous().cpu() for name, each in found._asdict().items()}
            write_whole(file, save(tensors | {_SECONDS: seconds}))
        return found, seconds.item()

    def _nothing(self) -> Fooled:
        """The outcome on no samples."""
        target = self.target
        losses, labels = torch.empty(0, device=target.labels.device), target.labels[:0]
        return Fooled(target.samples[:0], labels.bool(), losses, losses, labels, labels)

    def _file(self, threat: Threat, number: int, rows: Tensor) -> Path | None:
        """Named by all that the outcome depends on."""
        if self.folder is None:
            return None
        with storage_errors(self.folder):
            self.folder.mkdir(exist_ok=True)
        content = (*Fooled._fields, _SECONDS)
        parts = map(str, (self._fingerprint, threat.model_dump_json(), self.seed, number, rows.tolist(), content))
        return self.folder / f"{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:_DIGITS]}.safetensors"

    @cached_property
    def _fingerprint(self) -> str:
        target = self.target
        digest = hashlib.sha256(repr((target.name, target.space, target.draws, target.network)).encode())
        for name, value in network_state(target.network).items():
            digest.update(name.encode() + (value or b""))
        tensors = [target.labels]
        if target.draws == 1:  # the code of the network may have changed
            tensors.append(target.predicted_logits(target.samples[:SHOWN]))
        for tensor in chain(target.parts(target.samples), tensors):
            digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _rng(self, threat: Threat, batch: str) -> Rng:
        streams = Streams(self.seed, None, self.target.device)
        return streams.rng(f"robustness/{threat.name}/{threat.attack.epsilon}{batch}")


def clear(folder: Path) -> None:
    """Delete the saved batches of a folder, and the folder if nothing else lies in it."""
    if folder.is_dir():
        with storage_errors(folder):
            for file in folder.glob(f"{'[0-9a-f]' * _DIGITS}.safetensors"):
                file.unlink()
        sweep_partial(folder)
        with suppress(OSError):
            folder.rmdir()


def threat_result(
    threat: Threat, target: Target, found: Fooled, correct: Bool[Tensor, " n"], seconds: float
) -> ThreatResult:
    """The entry of robustness.json; means are over the samples that were tried."""
    epsilon = threat.attack.epsilon
    return ThreatResult(
        name=threat.name,
        kind=threat.kind,
        norm=norm_of(threat),
        epsilon=epsilon,
        scales=scales(epsilon, target.space),
        accuracy=rate(correct),
        loss_start=_mean(found.loss_start),
        loss_end=_mean(found.loss_end),
        seconds=seconds,
        forwards=target.draws * _mean(found.forwards),
        backwards=target.draws * _mean(found.backwards),
        settings=threat.model_dump(mode="json"),
    )


def norm_of(threat: Threat) -> str:
    """The norm of the budget; the attack's own name if it does not search the whole ball."""
    attack = threat.attack
    return attack.name if isinstance(attack, Dimming) or not attack.ball.limited else attack.ball.norm


def _mean(values: Tensor) -> float:
    return float(values.double().mean()) if len(values) else 0.0
