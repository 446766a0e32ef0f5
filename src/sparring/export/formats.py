"""The three forms of an exported network: each writes its files, and reads them again as a function of the inputs.

hub     model.safetensors, for `sparring.from_pretrained` and a few lines of torch
pt2     model.pt2, a program of `torch.export` for any batch size: torch alone, without the code of the network
onnx    model.onnx, for any batch size, by torch's exporter
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from sparring.core.errors import UsageError
from sparring.core.files import sha256
from sparring.export.export_config import CONFIG, WEIGHTS, ExportConfig, Form
from sparring.export.portable import PortableNetwork, as_tuple
from sparring.export.pretrained import from_pretrained

Function = Callable[..., Sequence[Tensor]]
"""The inputs of a portable network to its outputs."""
_TRACED = 3
"""Samples of the inputs that a program is traced with; a batch of one or two might be taken for a constant."""
_FILES: dict[Form, str] = {"hub": WEIGHTS, "pt2": "model.pt2", "onnx": "model.onnx"}


def write_network(network: PortableNetwork, config: ExportConfig, folder: Path) -> tuple[Function, ExportConfig]:
    """Write the network and its config.json into an empty folder.

    Args:
        network: on the CPU.
        config: of the export, whose form is written.
        folder: of the files.

    Returns:
        The network as it is read from these files, and the config with the digest of its file.

    Raises:
        UsageError: a package is missing.
        OSError: the disk refused.
    """
    file = folder / _FILES[config.form]
    {"hub": _write_hub, "pt2": _write_pt2, "onnx": _write_onnx}[config.form](network, file)
    config = config.model_copy(update={"sha256": sha256(file)})
    config.write(folder / CONFIG)
    return {"hub": _read_hub, "pt2": _read_pt2, "onnx": _read_onnx}[config.form](file), config


def require_packages(form: Form) -> None:
    """Refuse a form whose packages are not installed.

    Raises:
        UsageError: with how to install them.
    """
    missing = [name for name in ("onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if form == "onnx" and missing:
        raise UsageError(f"onnx: {' and '.join(missing)} not installed", "pip install 'sparring[onnx]'")


def program_of(network: PortableNetwork) -> torch.export.ExportedProgram:
    """The network as a program for every batch size."""
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in network.inputs)
    with torch.no_grad():
        return torch.export.export(network, network.example(_TRACED), dynamic_shapes=shapes)


def function_of(program: torch.export.ExportedProgram) -> Function:
    """The program as a function of the inputs."""
    network = program.module()
    return lambda *inputs: as_tuple(network(*inputs))


def _write_hub(network: PortableNetwork, file: Path) -> None:
    weights = {name: tensor.contiguous() for name, tensor in network.network.state_dict().items()}
    save_file(weights, file, metadata={"format": "pt"})


def _read_hub(file: Path) -> Function:
    network = from_pretrained(file.parent, device="cpu")
    return lambda *inputs: as_tuple(network(*inputs))


def _write_pt2(network: PortableNetwork, file: Path) -> None:
    torch.export.save(program_of(network), file)


def _read_pt2(file: Path) -> Function:
    return function_of(torch.export.load(file))


def _write_onnx(network: PortableNetwork, file: Path) -> None:
    with _quiet():
        exported = torch.onnx.export(
            program_of(network), input_names=network.inputs, output_names=network.outputs, dynamo=True, verbose=False
        )
        assert exported is not None
        exported.save(file, external_data=False)


def _read_onnx(file: Path) -> Function:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: Tensor) -> list[Tensor]:
        values = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
        return [torch.from_numpy(each) for each in session.run(None, values)]

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages that are not needed, and on its own deprecated calls."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
