"""config.json of an exported network: what it is, what goes in and comes out, and where it is from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from sparring.core.shapes import Space
from sparring.runs.stored_record import StoredRecord

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
"""File names in the folder of an export."""
What = Literal["generator", "discriminator", "classifier"]
Form = Literal["hub", "pt2", "onnx"]


class ExportConfig(StoredRecord):
    """config.json of an exported network.

    Args:
        library: always `sparring`; it says whose file this is.
        version: of the library.
        what: the kind of network.
        form: how its weights are stored.
        network: its spec, as in a recipe, without its Lipschitz control: normalised weights are stored as such.
        shape: of one sample.
        bounds: the range of samples inside of the library; outside they are in [0, 1]. None where they have none.
        classes: their names; empty without labels.
        weights: which weights of the run these are, in words.
        sha256: of the file of weights.
        step: rounds that they were trained for.
        data: what the run was trained on, as in its recipe.
        validation_samples: how many of the training samples chose the weights and were not trained on.
        trained_against: the attack of the training, as in its recipe.
    """

    library: Literal["sparring"] = "sparring"
    version: str
    what: What
    form: Form = "hub"
    network: dict[str, Any]
    shape: tuple[int, ...]
    bounds: tuple[float, float] | None
    classes: tuple[str, ...]
    weights: str
    sha256: str = ""
    step: int
    data: dict[str, Any]
    validation_samples: int = 0
    trained_against: dict[str, Any] | None = None

    @property
    def space(self) -> Space:
        """The space of the samples inside of the library."""
        return Space(self.shape, self.bounds, len(self.classes))

    @property
    def of_network(self) -> dict[str, Any]:
        """What the network is made from; it may name code of others."""
        return {"network": self.network}

    @property
    def of_evaluation(self) -> dict[str, Any]:
        """What an evaluation needs beside the network; it may name code of others."""
        return {"data": self.data, "trained_against": self.trained_against}


def is_export(folder: Path) -> bool:
    """Whether a folder holds an exported network, and not a run."""
    return (folder / CONFIG).is_file() and not (folder / "recipe.yaml").exists()
