"""Golden numbers: tiny runs of every part of the library, held to the last bit, for refactorings.

    python tests/golden.py                    # play all cases, compare with golden.json, exit 1 where something differs
    python tests/golden.py --tolerance 1e-6   # compare numbers, to a relative tolerance, and no hashes
    python tests/golden.py --only packed      # one case; may be given more than once
    python tests/golden.py --write            # write golden.json anew

A change of form changes nothing here. A case has the numbers of a run's log and summary, or of an evaluation, without
times and words, and hashes of tensors, whose names do not count. They are those of one thread of a CPU: another CPU, or
another torch, may round otherwise, so write and compare on one machine.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

import sparring
from sparring.classifier.finetune import finetuning
from sparring.evaluation.evaluate import evaluate
from sparring.monitoring.endurance_study import attack_study, study_attacks
from sparring.recipes import load
from sparring.robustness.load import RobustnessOptions
from sparring.robustness.robustness_json import evaluate_robustness
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train

GOLDEN = Path(__file__).resolve().with_name("golden.json")
Case = dict[str, Any]

_SHORT = {"batch_size": 16, "steps": 3, "log_every": 3, "checkpoint_every": 1, "evaluate_every": 0}
_LONG = {"steps": 60, "log_every": 30, "checkpoint_every": 30}
_APART = {"name": "apart", "f_d": "log", "f_g": "cubic"}
_ADAM = {"name": "adam", "lr": 0.01, "beta1": 0.5}
_RMSPROP = {"name": "rmsprop", "lr": 0.01, "schedule": {"name": "linear", "start": 0.5, "end": 0.1}}
_G, _D = {"name": "mlp", "latent": 4, "hidden": [8, 8]}, {"name": "mlp", "hidden": [8, 8]}
_PLAYERS = {"generator": _G, "discriminator": _D, "optimizers": {"generator": _ADAM, "discriminator": _RMSPROP}}
_RING = {**_SHORT, **_PLAYERS, "data": "ring", "objective": "log", "sample_every": 0}
_DIGITS = {**_RING, "data": "digits"}
_BRANCH = {**_D, "head": "auxiliary"}
_CLASSES = {**_DIGITS, "generator": {**_G, "conditional": True}, "discriminator": _BRANCH}
_CONV_G = {"name": "mnist", "latent": 4, "width": 2, "batch_norm": True, "conditional": True}
_CONV_D = {"name": "mnist", "width": 2, "head": "auxiliary"}
_CONV = {**_DIGITS, "generator": _CONV_G, "discriminator": _CONV_D, "class_loss": "split"}
_POWER, _SINE = {"name": "power", "exponent": 0.7}, {"name": "function", "psi": "torch:sin"}
_LIES = ["flip", "sqrt", "square", "constant", _POWER, _SINE]
_LIAR = {"name": "mixture", "perturbations": [{"perturbation": lie, "probability": 0.15} for lie in _LIES]}
_CONTROLS = ["spectral_norm", {"name": "instance_noise", "sigma": 0.3}, {"name": "zero_centred", "at": "fake"}]
_PGD = {"name": "pgd", "epsilon": 0.1, "steps": 2}
_PUPIL = {**_SHORT, "data": "digits", "classifier": {"name": "small_resnet", "width": 2}, "optimizer": _ADAM}
_BRANCHED = {**_PUPIL, "classifier": {"name": "branch", "discriminator": _BRANCH}, "attack": _PGD}
_AVERAGED = {"ema": 0.9, "selection": {"every": 1, "samples": 50, "attack_steps": 2}}
_MEASURED = {"evaluate_every": 3, "ema": 0.9}


def _under(regime: str, attack: str, *, of: Case | None = None, **keys: Any) -> Case:
    """A regime, with further keys `of` its own, and an attack with `keys` of its own."""
    return {"regime": {"name": regime, "attack": {"name": attack, "epsilon": 0.2, **keys}, **(of or {})}}


RECIPES: dict[str, Case] = {
    "plain": {**_RING, **_MEASURED, "regime": "plain", "feedback": "honest", "lipschitz": "none"},
    "per sample": {**_RING, "feedback": _LIAR, "critic_steps": 2, "lipschitz": {"name": "clip", "bound": 0.2}},
    "per batch": {**_RING, "feedback": {**_LIAR, "delivery": "per_batch"}, "objective": "square_root"},
    "expected": {**_RING, "feedback": {**_LIAR, "delivery": "expected"}, "objective": "nonsaturating"},
    "flip": {**_RING, "feedback": {"name": "flip", "probability": 0.4}, "data": "grid", "objective": "linear"},
    "direct": {**_RING, **_under("replace", "direct", of={"aim": "distance", "attacked": "both"})},
    "FGSM": {**_RING, **_under("symmetric", "fgsm", of={"warmup": {"end": 2}}), "lipschitz": "spectral_norm"},
    "Gaussian": {**_RING, **_under("symmetric", "fgsm", source="random_direction"), "objective": "hinge"},
    "mixed": {**_RING, "regime": "mixed", "lipschitz": "lipschitz_penalty", "objective": "wasserstein"},
    "BIM": {**_RING, **_under("mixed", "bim", steps=2), "lipschitz": "instance_noise"},
    "PGD": {**_RING, **_under("replace", "pgd", steps=2), "lipschitz": "gradient_penalty", "objective": "wasserstein"},
    "PGD, L2": {**_RING, **_under("replace", "pgd_l2", steps=2), "lipschitz": {"name": "zero_centred", "at": "both"}},
    "APGD": {**_RING, **_under("replace", "apgd", steps=6), "lipschitz": "adversarial_lipschitz_penalty"},
    "Square": {**_DIGITS, **_under("replace", "square", queries=8), "objective": "least_squares"},
    "Square, L2": {**_DIGITS, **_under("replace", "square_l2", queries=8), "memory_format": "channels_last"},
    "NES": {**_RING, **_under("replace", "pgd", source={"name": "nes", "samples": 3}), "objective": "erf"},
    "SPSA": {**_RING, **_under("replace", "pgd", source={"name": "spsa", "samples": 3}), "objective": "sine"},
    "finite differences": {**_RING, **_under("mixed", "fgsm", source="finite_differences"), "objective": "tanh"},
    "random search": {**_RING, **_under("replace", "random_search", queries=3, of={"attacked": "fake"})},
    "dimming": {**_DIGITS, **_under("replace", "dimming"), "objective": _APART},
    "together": {**_RING, "lipschitz": {"name": "together", "controls": _CONTROLS}, "ema": 0.5},
    "packed": {**_RING, **_MEASURED, **_under("mixed", "pgd"), "lipschitz": "gradient_penalty", "replicas": 4},
    "packed, alike": {**_RING, **_under("symmetric", "fgsm"), "lipschitz": "spectral_norm", "replicas": 4},
    "bf16": {**_RING, **_under("replace", "pgd", steps=2), "feedback": _LIAR, "precision": "bf16"},
    "images": {**_CONV, **_MEASURED, **_under("replace", "pgd", start="zero"), "lipschitz": "spectral_norm"},
    "AC-GAN": {**_CLASSES, **_LONG, **_under("replace", "pgd", steps=2), "class_loss": "ac"},
    "AC-GAN, published": {**_CLASSES, "class_loss": "ac_published"},
    "split, published": {**_CLASSES, "class_loss": "split_published", "lipschitz": "zero_centred"},
    "projection": {**_CLASSES, "discriminator": {**_D, "head": "projection"}, "regime": "symmetric"},
    "classifier": {**_PUPIL, "attack": _PGD, "warmup": {"start": 0, "end": 2}, "evaluate_every": 3},
    "classifier, long": {**_BRANCHED, **_LONG, "batch_size": 64, "evaluate_every": 60},
    "classifier, DLR": {**_BRANCHED, "criterion": "dlr", "optimizer": {"name": "sgd", "lr": 0.1}},
    "classifier, plain": {**_PUPIL, "attack": "none", "data": {"name": "digits", "augment": ["flip"]}},
    "classifier, TRADES": {
        **_PUPIL,
        **_AVERAGED,
        "loss": {"name": "trades", "label_smoothing": 0.1},
        "attack": {**_PGD, "start": "gaussian"},
        "weight_perturbation": "awp",
    },
    "classifier, free": {**_PUPIL, **_AVERAGED, "attack": "fgsm", "free": {"replays": 2}, "mixing": "cutmix"},
    "classifier, share": {**_BRANCHED, "loss": "mart", "fakes": {"run": "AC-GAN", "share": 0.5}},
    "classifier, fakes": {**_BRANCHED, "criterion": "margin", "start": {"run": "AC-GAN"}, "fakes": {"run": "AC-GAN"}},
}


def _of_run(run: Path) -> Case:
    """The log, the summary and the newest checkpoint of a run."""
    lines, told = (run / "metrics.jsonl").read_text().splitlines(), json.loads((run / "summary.json").read_text())
    rows = {f"row {row.pop('step')}": row for row in map(json.loads, lines)}
    tensors = load_file(sorted(run.glob("checkpoints/*"))[-1] / "tensors.safetensors")
    moments = {name for name in tensors if re.search(r"(^|\W)(step|exp_avg\w*|square_avg|momentum_buffer)$", name)}
    sums = {name for name, tensor in tensors.items() if tensor.dtype == torch.float64}
    return {
        **rows,
        "summary": told["metrics"],
        "alarms": len(told["alarms"]),
        "hash of weights": _hash(tensors[name] for name in tensors.keys() - moments - sums),
        "hash of optimizers": _hash(tensors[name] for name in moments),
    }


def _hash(tensors: Iterable[Tensor]) -> str:
    """SHA-256 over types, shapes and bytes, in an order of their own."""
    flat = [(each, each.reshape(-1).view(torch.uint8).numpy().tobytes()) for each in tensors]
    parts = sorted(f"{each.dtype} {tuple(each.shape)} ".encode() + content for each, content in flat)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _numbers(value: Any, path: str = "") -> Case:
    """All numbers of a nested value by their paths, and the places without one; no times, settings and words."""
    if isinstance(value, dict | list | tuple):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        kept = [
            _numbers(part, f"{path}/{key}")
            for key, part in parts
            if key not in ("seconds", "preparation_seconds", "settings")
        ]
        return {name: number for found in kept for name, number in found.items()}
    return {} if isinstance(value, str) and "hash of " not in path else {path.lstrip("/"): value}


def _evaluated(run: Path) -> Case:
    return evaluate(run, samples=200, device="cpu").as_json()


def _robust(run: Path, **options: Any) -> Case:
    """Accuracy under attack of the heads of a run, and what became of the first images."""
    out = Path(f"{run}, {options}")
    chosen = RobustnessOptions.model_validate({"samples": 40, **options})
    found = evaluate_robustness(run, chosen, out=out, device="cpu").as_json()
    with np.load(out / "robustness.npz") as file:
        arrays = {name: file[name] for name in file.files}
    shown = {name: each.tolist() for name, each in arrays.items() if each.dtype == np.int64}
    hashes = {f"hash of {name}": _hash([torch.from_numpy(each)]) for name, each in arrays.items()}
    return {**found, "shown": shown, **hashes}


def _resumed(run: Path) -> Case:
    """A run that lost its newest checkpoint, continued."""
    copy = Path(shutil.copytree(run, f"{run}, resumed"))
    shutil.rmtree(sorted(copy.glob("checkpoints/*"))[-1])
    resume(copy, device="cpu")
    return _of_run(copy)


def _finetuned(run: Path) -> Case:
    changes = ["steps=3", "log_every=3", "batch_size=16", "evaluate_every=3"]
    train(finetuning(RunFolder.open(run), overrides=changes).recipe, Path("tuned"), device="cpu")
    return _of_run(Path("tuned"))


_STUDY = attack_study("fgsm", within=0.02, cap=10, samples=8)
OF_RUNS: dict[str, tuple[tuple[str, ...], Callable[[Path], Case]]] = {
    "resumed": (("packed", "classifier"), _resumed),
    "fine-tuned": (("AC-GAN",), _finetuned),
    "evaluated": (
        ("AC-GAN", "packed", "classifier, long"),
        _evaluated,
    ),
    "robust": (("classifier, long",), _robust),
    "robust heads": (("AC-GAN",), lambda run: _robust(run, on=("class", "source", "both"), threats="quick")),
    "robust points": (("packed",), lambda run: _robust(run, game=1, threats="quick")),
    "attack study": (("images", "packed"), lambda run: {"of": study_attacks([run], _STUDY, device="cpu")}),
}
"""What is recorded of finished runs: of which, and how."""


def _played(name: str) -> Path:
    """The run of a recipe in the working folder, played unless it has been."""
    run, file = Path(name), Path(f"{name}.yaml")
    if not run.exists():
        if "fakes" in RECIPES[name]:
            _played(RECIPES[name]["fakes"]["run"])
        file.write_text(json.dumps(RECIPES[name]))
        train(load(str(file)), run, device="cpu")
    return run


def _case(name: str) -> Case:
    runs, record = OF_RUNS.get(name, ((name,), _of_run))
    return _numbers({run: record(_played(run)) for run in runs} if len(runs) > 1 else record(_played(runs[0])))


def _same(one: Any, other: Any, tolerance: float) -> bool:
    numbers = isinstance(one, float) and isinstance(other, float)
    return one == other or (numbers and math.isclose(one, other, rel_tol=tolerance, abs_tol=1e-6 * tolerance))


def main() -> int:
    """Play, then write or compare; the exit code."""
    names = (*RECIPES, *OF_RUNS)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write golden.json")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="; ".join(names))
    parser.add_argument("--tolerance", type=float, default=0.0, help="relative, of numbers; no hashes are compared")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{Path(sparring.__file__).parent}, torch {torch.__version__}")
    golden: Case = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ["SPARRING_CACHE"] = f"{folder}/cache"
        found = {name: _case(name) for name in options.only or names}
    if options.write:
        kept = golden if options.only else {}
        GOLDEN.write_text(json.dumps(kept | found, indent=1, allow_nan=False) + "\n")
        return 0
    differ = 0
    for name, case in found.items():
        old = golden.get(name, {})
        for key in dict.fromkeys((*old, *case)):
            pair = old.get(key, "missing"), case.get(key, "missing")
            if not (_same(*pair, options.tolerance) or (options.tolerance and "hash of " in key)):
                print(f"{name:20} {key:50} {pair[0]!s:>24.24} {pair[1]!s:>24.24}")
                differ += 1
    print(f"{len(found)} cases, {sum(map(len, found.values()))} values, {differ} differ")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
