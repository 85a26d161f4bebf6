"""Networks that `python -m tools.export` wrote, as modules that extract descriptors."""

import warnings
from pathlib import Path

import torch
from torch import nn

from commons.checkpoints import CONFIG, from_json
from commons.errors import PlacewiseError, first_line
from model.formats import is_exported
from model.pretrained import load_network


class OnnxNetwork(nn.Module):
    """An ONNX file in ONNX Runtime: uint8 (b, 3, h, w) to unit float32 (b, descriptor_dim).

    Attributes:
        config: configuration of the network's training.
        descriptor_dim: dimension of its descriptors.
        own_precision: the precision of its computation; autocast has no effect.
    """

    own_precision = "fp32"

    def __init__(self, path: str | Path, device: torch.device | str = "cpu") -> None:
        """Opens a file.

        Args:
            path: the file.
            device: for the computation, if the installed ONNX Runtime supports it; else the CPU, with as many threads
                as PyTorch.

        Raises:
            PlacewiseError: if it cannot be read or was not exported by Placewise, or ONNX Runtime is not installed.
        """
        super().__init__()
        runtime = _onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        device = torch.device(device)
        if device.type == "cuda" and "CUDAExecutionProvider" in runtime.get_available_providers():
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0}))
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # its errors have no class in common
            raise PlacewiseError(f"{path}: ONNX Runtime cannot read it ({first_line(error)})") from error
        self.config = _read_config(path, self._session.get_modelmeta().custom_metadata_map.get(CONFIG))
        self.descriptor_dim = self.config["descriptor_dim"]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps uint8 (b, 3, h, w) to (b, descriptor_dim), on the device of `images`.

        Raises:
            PlacewiseError: if it cannot compute images of this size.
        """
        try:
            (descriptors,) = self._session.run(None, {"images": images.cpu().numpy()})
        except Exception as error:  # its errors have no class in common
            raise _failed(images, error) from error
        return torch.from_numpy(descriptors).to(images.device)

    def __str__(self) -> str:
        return f"ONNX Runtime, {self._session.get_providers()[0].removesuffix('ExecutionProvider')}"


class ScriptNetwork(nn.Module):
    """A TorchScript file, with the attributes of `OnnxNetwork`."""

    own_precision = "fp32"

    def __init__(self, path: str | Path) -> None:
        """Opens a file.

        Raises:
            PlacewiseError: if it cannot be read or was not exported by Placewise.
        """
        super().__init__()
        files = {CONFIG: ""}
        try:
            # PyTorch recommends torch.export, which C++ cannot load.
            with warnings.catch_warnings(action="ignore"):
                self._module = torch.jit.load(path, map_location="cpu", _extra_files=files)
        except RuntimeError as error:
            raise PlacewiseError(f"{path}: not a readable TorchScript file ({first_line(error)})") from error
        self.config = _read_config(path, files[CONFIG])
        self.descriptor_dim = self.config["descriptor_dim"]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps uint8 (b, 3, h, w) to (b, descriptor_dim).

        Raises:
            PlacewiseError: if it cannot compute images of this size.
        """
        try:
            return self._module(images)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise
            raise _failed(images, error) from error

    def __str__(self) -> str:
        return "TorchScript"


def open_network(path: str | Path, device: torch.device | str = "cpu") -> tuple[nn.Module, dict]:
    """Returns the network in any file that Placewise writes, or in a state dict, and its configuration.

    Raises:
        PlacewiseError: if the file is none of these.
    """
    if not is_exported(path):
        return load_network(path)
    network = OnnxNetwork(path, device) if Path(path).suffix == ".onnx" else ScriptNetwork(path)
    return network, network.config


def _failed(images: torch.Tensor, error: Exception) -> PlacewiseError:
    height, width = images.shape[-2:]
    reason = str(error).strip().rpartition("\n")[2][:160]
    return PlacewiseError(
        f"the exported network cannot compute an image of {width}x{height} pixels ({reason}); resize images with "
        "`resize_test_imgs`, or leave it out"
    )


def _read_config(path: str | Path, text: str | bytes | None) -> dict:
    try:
        config = from_json(text or "")
        return config | {"descriptor_dim": int(config["descriptor_dim"])}
    except (ValueError, KeyError, TypeError) as error:
        raise PlacewiseError(f"{path}: was not written by python -m tools.export, or its metadata is lost") from error


def _onnxruntime():
    # Imported here: training and evaluation do not need it, and it takes time and memory.
    try:
        import onnxruntime
    except ImportError as error:
        raise PlacewiseError("ONNX networks need ONNX Runtime: pip install onnx onnxruntime") from error
    return onnxruntime
