"""The model card of an exported network: README.md with the front matter that hubs read."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import jinja2
import torch

from sparring.attacks import Attack
from sparring.citations import citations_of
from sparring.core.files import storage_errors
from sparring.export.export_config import CARD, ExportConfig
from sparring.export.plain_torch import plain_torch, random_arrays, random_tensors
from sparring.export.portable import PortableDiscriminator, PortableGenerator, PortableNetwork
from sparring.networks import Generator
from sparring.recipes import AnyRecipe, Recipe, to_yaml
from sparring.runs.folder import RunFolder
from sparring.runs.robustness_schema import ROBUSTNESS, Robustness
from sparring.runs.schema import Interval, MetricValue

_PIPELINE = {"generator": "unconditional-image-generation", "classifier": "image-classification"}
_PRIORS = {"normal": "N(0, 1)", "uniform": "uniform in [-1, 1)"}
_HEADS = {
    "auxiliary": "`classes` are the logits of a classifier.",
    "projection": "The score of a sample of class y is `score + classes[y]`; `score` is the mean over the classes.",
}
_Row = tuple[str, ...]
_EVENTS = "steps_to_success", "diverged"
"""Metrics that are the round of an event."""


def write_card(
    folder: Path, config: ExportConfig, network: PortableNetwork, run: RunFolder, recipe: AnyRecipe, game: int
) -> None:
    """Write README.md: what the network is, how it is used, and every measure of its run with interval and flags.

    Args:
        folder: of the export.
        config: of the export.
        network: what was exported.
        run: what it is from.
        recipe: of the run, or of the packed game.
        game: index of the packed game.
    """
    summary = run.summary()
    attacked = None if config.what == "generator" else _robustness(run, game)
    targets = attacked.targets if attacked else ()
    alarms = [alarm for alarm in summary.alarms if alarm.game == game] if summary else []
    flags = [f"{alarm.kind} at round {alarm.step:,}: {alarm.cause}" for alarm in alarms]
    flags += [f"{target.name}: {flag}" for target in targets for flag in target.flags]
    metrics = summary.metrics if summary else {}
    protocols = list(dict.fromkeys(metric.protocol for metric in metrics.values()))
    text = _template().render(
        config=config,
        pipeline_tag=_pipeline_tag(config),
        is_gan=isinstance(recipe, Recipe),
        title=f"{config.what.capitalize()}: {recipe.description or recipe.data.name}",
        verdict=summary.verdict if summary else "The training has not ended yet.",
        use=_use(config, network),
        plain=plain_torch(network),
        torch=".".join(torch.__version__.split(".")[:2]),
        ports=_ports(network),
        scale=_scale(network),
        remark=_HEADS.get(network.spec.head.name, "") if isinstance(network, PortableDiscriminator) else "",
        trained_against=_attack(config),
        rounds=summary.steps if summary else 0,
        measures=[_measure(name, metric, game, protocols) for name, metric in metrics.items()],
        protocols=protocols,
        robustness=targets,
        attacked_after=attacked.step if attacked else None,
        interval=_interval,
        flags=flags,
        recipe=to_yaml(recipe).strip(),
        papers="\n\n".join(paper.bibtex for paper in citations_of(recipe, metrics)),
    )
    with storage_errors(folder / CARD):
        (folder / CARD).write_text(text, encoding="utf-8")


def _template() -> jinja2.Template:
    text = resources.files("sparring.export").joinpath("templates", "card.md").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    return environment.from_string(text)


def _robustness(run: RunFolder, game: int) -> Robustness | None:
    """What `sparring robustness` found of this game."""
    path = run.path / ROBUSTNESS
    found = Robustness.read(path) if path.is_file() else None
    return found if found and found.game == game else None


def _use(config: ExportConfig, network: PortableNetwork) -> str:
    """The lines that run the network on random inputs."""
    outputs = ", ".join(network.outputs)
    if config.form == "onnx":
        fed = ", ".join(f'"{name}": {name}' for name in network.inputs)
        return "\n".join([*_drawn(random_arrays(network)), f"[{outputs}] = network.run(None, {{{fed}}})"])
    return "\n".join([*_drawn(random_tensors(network)), f"{outputs} = network({', '.join(network.inputs)})"])


def _drawn(inputs: dict[str, str]) -> list[str]:
    return [f"{name} = {code}" for name, code in inputs.items()]


def _ports(network: PortableNetwork) -> list[_Row]:
    """The inputs and outputs: name, shape, values."""
    space, spec, rows = network.space, network.spec, [("input", network.inputs), ("output", network.outputs)]
    meanings = {
        network.samples: (f"(n, {', '.join(map(str, space.shape))})", "in [0, 1]" if space.bounds else "as the data"),
        "labels": ("(n), int64", f"classes, 0 to {space.classes - 1}"),
        "score": ("(n)", "higher for real samples"),
        "classes": (f"(n, {space.classes})", "a number for each class"),
        "logits": (f"(n, {space.classes})", "one for each class"),
    }
    if isinstance(spec, Generator):
        meanings["latents"] = (f"(n, {spec.latent})", _PRIORS.get(spec.prior.name, spec.prior.name))
    return [(way, f"`{name}`", *meanings[name]) for way, names in rows for name in names]


def _scale(network: PortableNetwork) -> str:
    """The range of samples, in a sentence."""
    if network.space.bounds is None:
        return "Samples have no range and are not scaled."
    if isinstance(network, PortableGenerator):
        return "Images are in [0, 1]."
    return "Images are in [0, 1]: do not normalise them, as the network scales them to [-1, 1], where it was trained."


def _pipeline_tag(config: ExportConfig) -> str:
    """The hub's name of the task; it has none for generators of classes, and for points."""
    is_conditional = config.what == "generator" and config.network.get("conditional")
    return "other" if len(config.shape) != 3 or is_conditional else _PIPELINE.get(config.what, "other")


def _attack(config: ExportConfig) -> str:
    if config.trained_against is None:
        return "none"
    return Attack.validated(config.trained_against, str(CARD), "export the run again").describe(config.space)


def _measure(name: str, metric: MetricValue, game: int, protocols: list[str]) -> _Row:
    """A measure of the game: name, value, interval, number of the protocol."""
    each = metric.estimates[game] if metric.is_per_game else metric.estimates[0]
    none = "never" if name in _EVENTS else "–"
    value = none if each.value is None else f"{each.value:.4g}"
    return f"`{name}`", value, _interval(each.interval), str(protocols.index(metric.protocol) + 1)


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval[0]:.4g}, {interval[1]:.4g}]"
