"""File formats of exported networks."""

import zipfile
from pathlib import Path

# Names for --format of tools.export, and the suffixes of their files.
FORMATS = {"onnx": ".onnx", "torchscript": ".ts", "safetensors": ".safetensors"}


def is_exported(path: str | Path) -> bool:
    """Whether a file is an ONNX or TorchScript network, which can be evaluated but not trained."""
    if Path(path).suffix == ".onnx":
        return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        return any(name.endswith("/constants.pkl") for name in file.namelist())
