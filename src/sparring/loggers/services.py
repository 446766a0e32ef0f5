"""Sinks of tracking services, by `--log NAME`: each is the service's own client, with its settings and offline mode.

    wandb     extra `wandb`; WANDB_PROJECT, WANDB_MODE=offline, ...
    mlflow    extra `mlflow`; MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, ...; a folder needs MLFLOW_ALLOW_FILE_STORE

A run that is resumed continues its curves.
"""

from __future__ import annotations

import os
import time

from sparring.loggers.base import LoggedRun, Row, curves


class WeightsAndBiases:
    """A run of Weights & Biases, with the recipe as its config.

    Args:
        run: whose log it is.
    """

    def __init__(self, run: LoggedRun) -> None:
        import wandb

        project = os.environ.get("WANDB_PROJECT", "sparring")
        self._run = wandb.init(project=project, name=run.path.name, id=run.key, config=run.recipe, resume="allow")

    def write(self, row: Row) -> None:
        self._run.log(curves(row), step=row["step"])

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """A run of MLflow, with the recipe as an artifact.

    Args:
        run: whose log it is.
    """

    def __init__(self, run: LoggedRun) -> None:
        import mlflow
        from mlflow.entities import Metric

        self._client, self._metric = mlflow.MlflowClient(), Metric
        experiment = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "sparring")).experiment_id
        known = self._client.search_runs([experiment], f"tags.`sparring.key` = '{run.key}'")
        tags = {"sparring.key": run.key}
        opened = known[0] if known else self._client.create_run(experiment, run_name=run.path.name, tags=tags)
        self._id = opened.info.run_id
        self._client.log_dict(self._id, run.recipe, "recipe.json")

    def write(self, row: Row) -> None:
        now, step = int(1000 * time.time()), row["step"]
        metrics = [self._metric(name, value, now, step) for name, value in curves(row).items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self) -> None:
        self._client.set_terminated(self._id)
