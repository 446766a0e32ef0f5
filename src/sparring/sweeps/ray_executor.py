"""An executor on a Ray cluster: this machine, or several that share the folder of the runs."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import signal
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

from sparring.core.errors import UsageError
from sparring.core.signals import STOPS
from sparring.recipes import AnyRecipe
from sparring.sweeps.executor import Executor, Outcome, train_run

_STORE = 100 << 20
"""Bytes of Ray's object store on this machine: recipes are small."""
_RETRIES = 3
"""Times that Ray restarts a task whose process or machine died."""
_SAVING = 60.0
"""Seconds that stopped tasks have to save."""


class RayExecutor(Executor):
    """Ray tasks of one CPU, or of a share of a GPU each. Ray itself restarts a task whose worker died.

    Args:
        address: `local` for a cluster on this machine that ends with the executor, `auto` for the cluster that this
            machine belongs to, or `ray://HOST:PORT`.
        workers: runs at a time; 0 is as many as the cluster has CPUs, or shares of a GPU.
        gpus_per_run: share of a GPU that a run takes, 0.25 for four runs a GPU; 0 trains on CPUs.

    Raises:
        UsageError: no such address, Ray is not installed, no cluster answers, or it has no GPU to share.
    """

    tries = 1

    def __init__(self, address: str = "local", workers: int = 0, gpus_per_run: float = 0.0) -> None:
        if address not in ("local", "auto") and ":" not in address:
            raise UsageError(f"--address {address}: not the address of a cluster", "use local, auto or ray://HOST:PORT")
        if importlib.util.find_spec("ray") is None:
            raise UsageError("Ray is not installed", "pip install 'sparring[cluster]', or sweep without --address")
        self._ray: Any = importlib.import_module("ray")
        _connect(self._ray, address, workers)
        resources = self._ray.cluster_resources()
        most = resources.get("GPU", 0.0) / gpus_per_run if gpus_per_run else resources.get("CPU", 1.0)
        if most < 1:
            self._ray.shutdown()
            raise UsageError(f"{address}: no GPU to share", "make --gpus-per-run smaller, or leave it out")
        self.workers = workers or int(most)
        self._device = "cuda" if gpus_per_run else "cpu"
        self._task = self._ray.remote(num_cpus=1, num_gpus=gpus_per_run, max_retries=_RETRIES)(train_run)
        self._submitted: dict[Future[Outcome], Any] = {}

    def submit(self, path: Path, recipe: AnyRecipe) -> Future[Outcome]:
        reference = self._task.remote(path, recipe.model_dump(mode="json"), self._device)
        future: Future[Outcome] = reference.future()
        self._submitted[future] = reference
        return future

    def shutdown(self) -> None:
        try:
            left = [future for future in self._submitted if not future.done()]
            for future in left:
                self._ray.cancel(self._submitted[future])  # as Ctrl-C would: the run stops after its round
            wait(left, _SAVING)
        finally:
            self._ray.shutdown()


def _connect(ray: Any, address: str, workers: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {
        "address": address,
        "logging_level": logging.ERROR,
        "log_to_driver": False,
        "runtime_env": {"env_vars": {name: each for name, each in os.environ.items() if name.startswith("SPARRING_")}},
    }
    if address == "local":
        options |= {"num_cpus": workers or None, "include_dashboard": False, "object_store_memory": _STORE}
    handlers = {number: signal.getsignal(number) for number in STOPS}
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        raise UsageError(f"{address}: no cluster answers ({reason})", "start one with `ray start --head`") from None
    finally:
        for number, handler in handlers.items():  # Ray sets its own
            signal.signal(number, handler)
