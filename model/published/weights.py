"""Published networks by name, with their weights."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from commons.checkpoints import load_checkpoint
from commons.errors import ArgumentError, PlacewiseError, did_you_mean, first_line
from model.aggregation.vocabulary import read_vocabulary
from model.network import GeoLocalizationNet, check_network
from model.pretrained import load_pretrained
from model.published import FAMILIES, PUBLISHED
from model.published.entry import Published, State

# The entries under which published checkpoints hold the state dict.
STATE_DICTS = ("model_state_dict", "state_dict")
# Checkpoints of the authors of CricaVPR hold their recalls as an array, which runs no code either.
NUMPY_ARRAYS = [
    np.ndarray,
    *((np.empty(0).__reduce__()[0], f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
]


def find_published(name: str) -> str:
    """Returns the full name of a published network.

    Args:
        name: full or shortened, as cosplace, cosplace-resnet18 or cosplace-resnet18-512.

    Raises:
        ArgumentError: if there is none; the message lists what there is.
    """
    wanted = name.lower()
    if wanted in PUBLISHED:
        return wanted
    for full in PUBLISHED:
        if full.startswith(f"{wanted}-"):
            return full
    method = wanted.partition("-")[0]
    known = FAMILIES.get(method, FAMILIES)
    hint = did_you_mean(wanted, [*FAMILIES, *PUBLISHED])
    raise ArgumentError("pretrained_model", f"{name} is unknown{hint}; choose from {', '.join(known)}")


def check_published(
    name: str,
    image_size: int | Sequence[int],
    num_trainable_blocks: int | None = None,
    freeze: Sequence[str] | None = None,
) -> None:
    """Raises ArgumentError if images of this size are too small for a network, or it has no such blocks to freeze.

    Args:
        name: as `find_published` returns.
        image_size: side of the images in pixels, or height and width.
        num_trainable_blocks, freeze: as for `GeoLocalizationNet`.
    """
    network = PUBLISHED[name].network
    head = (network["fc_output_dim"], network["aggregation"], network["aggregation_options"])
    blocks = (network.get("cut_after"), num_trainable_blocks, freeze)
    check_network(network["backbone"], *head, image_size, *blocks)


def load_published(
    name: str, file: str | None = None, backbone: str = "imagenet"
) -> tuple[GeoLocalizationNet, dict[str, object]]:
    """Builds a network and gives it the weights that its authors published.

    Args:
        name: as `find_published` returns.
        file: the published file, where it has been downloaded; None to fetch it into torch's hub cache.
        backbone: weights of the backbone, as for `load_pretrained`, of networks that publish only a vocabulary.

    Returns:
        The network and its configuration.

    Raises:
        PlacewiseError: if the weights cannot be fetched or do not fit.
    """
    entry = PUBLISHED[name]
    if entry.vocabulary_only:
        return _load_training_free(name, file, backbone), dict(entry.network)
    path = Path(file) if file else fetch(name)
    try:
        state = entry.convert(read_state(path, entry))
    except PlacewiseError as error:
        if file:
            raise
        raise PlacewiseError(
            f"{error}; if its download was interrupted, delete the file and run the command again"
        ) from error
    network = GeoLocalizationNet(**entry.network)
    wrong = _difference(network.state_dict(), state)
    if wrong:
        raise PlacewiseError(f"{path}: not the published weights of {name}, {wrong}; they are at {entry.page}")
    network.load_state_dict(state)
    return network, dict(entry.network)


def _load_training_free(name: str, file: str | None, backbone: str) -> GeoLocalizationNet:
    """Returns a network with its backbone's weights, and with the vocabulary of a file, if it has one."""
    entry = PUBLISHED[name]
    network = GeoLocalizationNet(**entry.network)
    load_pretrained(network.backbone, entry.network["backbone"], backbone)
    if file or entry.file:
        network.aggregation.set_vocabulary(read_vocabulary(file or fetch(name)))
    return network


def fetch(name: str) -> Path:
    """Returns the published file in torch's hub cache, after downloading it at first use.

    Raises:
        PlacewiseError: if that fails; the message gives the address and the flag that takes a file.
    """
    entry = PUBLISHED[name]
    path = Path(torch.hub.get_dir(), "checkpoints", entry.file)
    if path.is_file():
        return path
    by_hand = f"from {entry.page} and give its path as `pretrained_model_file`"
    if not entry.address:
        raise PlacewiseError(
            f"`pretrained_model`: the weights of {name} can be downloaded only in a browser: download {entry.file} "
            f"{by_hand}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    problem = f"`pretrained_model`: {entry.address} of {name}"
    try:
        torch.hub.download_url_to_file(entry.address, str(path), progress=sys.stderr.isatty())
    except Exception as error:
        # Failed downloads have many classes: URLError, HTTPError, SSL errors, timeouts.
        reason = first_line(error)
        raise PlacewiseError(f"{problem} could not be downloaded ({reason}): download it by hand {by_hand}") from error
    with path.open("rb") as downloaded:
        is_page = downloaded.read(16).lstrip()[:1] == b"<"
    if is_page:
        path.unlink()
        raise PlacewiseError(f"{problem} is a web page instead of weights: download them in a browser {by_hand}")
    return path


def read_state(path: Path, entry: Published) -> State:
    """Reads a published file's tensors, without running anything in it.

    Raises:
        PlacewiseError: if the file is missing or damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise PlacewiseError(f"{path}: there is no such file")
    if entry.read is not None:
        return entry.read(str(path))
    with torch.serialization.safe_globals(NUMPY_ARRAYS):
        checkpoint = load_checkpoint(path)
    return next((checkpoint[key] for key in STATE_DICTS if key in checkpoint), checkpoint)


def _difference(ours: State, published: State) -> str:
    """Returns in a few words which tensor does not fit; "" if all do."""
    for name in ours.keys() | published.keys():
        if name not in published:
            return f"it has no tensor for {name}"
        if name not in ours:
            return f"its tensor {name} belongs to no layer"
        if ours[name].shape != published[name].shape:
            return f"{name} is {tuple(published[name].shape)}, not {tuple(ours[name].shape)}"
    return ""
