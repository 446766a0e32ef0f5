"""A network of a run, to take elsewhere: as a folder for a hub, a program of torch.export, or an ONNX file."""

from sparring.export.exporting import ExportedNetwork, export_run
from sparring.export.portable import PortableGenerator, PortableNetwork
from sparring.export.pretrained import from_pretrained

__all__ = ["ExportedNetwork", "PortableGenerator", "PortableNetwork", "export_run", "from_pretrained"]
