"""A network in an ONNX file, run by onnxruntime on the CPU: outputs alone, so that only black-box attacks apply."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sparring.core.errors import CorruptInput, UsageError
from sparring.core.files import sha256


class OnnxNetwork(nn.Module):
    """The first output of the network for its only input; a fixed batch size of the file is kept by padding.

    Args:
        path: of the file.

    Raises:
        UsageError: there is no such file, it has several inputs, or onnxruntime is not installed.
        CorruptInput: it is not an ONNX file that onnxruntime can run.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        if not path.is_file():
            raise UsageError(f"{path}: no such file", "give an ONNX file, or a model as module:factory")
        if importlib.util.find_spec("onnxruntime") is None:
            raise UsageError(f"{path}: onnxruntime is not installed", "pip install 'sparring[onnx]'")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        except Exception as error:  # of C++, with classes of its own
            first = str(error).splitlines()[0]
            raise CorruptInput(f"{path}: not an ONNX model that onnxruntime runs: {first}", "export it again") from None
        self._sha256 = sha256(path)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(each.name for each in inputs)
            raise UsageError(f"{path}: takes {len(inputs)} inputs ({names})", "export a model that takes images alone")
        self._input, size = inputs[0], inputs[0].shape[0]
        self._batch = size if isinstance(size, int) else 0
        self._half = self._input.type == "tensor(float16)"

    def extra_repr(self) -> str:
        return f"sha256={self._sha256}"

    def forward(self, samples: Tensor) -> Tensor:
        values = samples.detach().cpu().numpy().astype(np.float16 if self._half else np.float32)
        batch = self._batch or max(1, len(values))
        parts = [self._run(values[start : start + batch]) for start in range(0, len(values), batch)]
        return torch.from_numpy(np.concatenate(parts).astype(np.float32)).to(samples.device)

    def _run(self, values: np.ndarray) -> np.ndarray:
        missing = max(0, self._batch - len(values))
        padded = np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
        try:
            outputs: np.ndarray = self._session.run(None, {self._input.name: padded})[0]
        except Exception as error:  # of C++, with classes of its own
            raise RuntimeError(str(error).splitlines()[0]) from None
        return outputs[: len(values)]
