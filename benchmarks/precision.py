"""Speed and error of each precision: python -m benchmarks.precision

For a network of plain convolutions and one of depthwise convolutions, measures images/s of extraction and of training
all layers on a batch in memory, and the mean distance of the unit descriptors from those of fp32. The images are those
of the demo city; ImageNet weights are used if they are available. "bf16, depthwise in fp32" is what train.py uses on a
CPU. Prints medians of alternating runs.
"""

import copy
from functools import partial
from pathlib import Path

import torch

from benchmarks.common import alternate, machine, print_table
from benchmarks.parts import TrainingStep, synchronize
from commons import devices
from commons.errors import PlacewiseError
from datasets.decoding import read_image
from demo.write import make_demo
from model.network import GeoLocalizationNet
from model.pretrained import load_pretrained

BACKBONES, BATCH_SIZE = ("ResNet18", "EfficientNet_Lite0"), 16
DEPTHWISE = "bf16, depthwise in fp32"


def main() -> None:
    """Prints one table."""
    devices.keep_freed_memory()
    device = devices.make_accelerator("auto").device
    paths = sorted((make_demo(Path("cache") / "demo") / "train").iterdir())
    images = torch.stack([read_image(path) for path in paths[:: len(paths) // BATCH_SIZE][:BATCH_SIZE]]).to(device)
    print(f"{machine()}, {BATCH_SIZE} images of {images.shape[-2]}x{images.shape[-1]}\n")
    rows = []
    for backbone in BACKBONES:
        for way, (extraction, training, distance) in measure(backbone, images, device).items():
            rows.append([backbone, way, BATCH_SIZE / extraction, BATCH_SIZE / training, distance])
    print_table(["network", "precision", "extraction, images/s", "training, images/s", "distance from fp32"], rows)


def measure(backbone: str, images: torch.Tensor, device: torch.device) -> dict[str, tuple[float, float, float]]:
    """Returns seconds per batch of extraction and of training, and the mean distance of descriptors from fp32."""
    precisions = ["fp32", "bf16", "fp16"] if device.type == "cuda" else ["fp32", "bf16", DEPTHWISE]
    source = build(backbone)
    networks = {
        precision: copy.deepcopy(source).to(device, memory_format=torch.channels_last) for precision in precisions
    }
    if DEPTHWISE in networks:
        devices.depthwise_in_fp32(networks[DEPTHWISE])
    descriptors = {}

    @torch.inference_mode()
    def extract(way: str) -> None:
        with devices.autocast(device, way[:4]):
            descriptors[way] = networks[way].eval()(images)
        synchronize(device)

    steps = {way: TrainingStep(network, 1000, device, way[:4]) for way, network in networks.items()}
    labels = torch.arange(BATCH_SIZE, device=device)

    def train(way: str) -> None:
        networks[way].train()
        steps[way](images / 255, labels)
        synchronize(device)

    extraction = alternate({way: partial(extract, way) for way in networks})
    distances = {way: float((own - descriptors["fp32"]).norm(dim=1).mean()) for way, own in descriptors.items()}
    training = alternate({way: partial(train, way) for way in networks})
    return {way: (extraction[way], training[way], distances[way]) for way in networks}


def build(backbone: str) -> GeoLocalizationNet:
    """Returns the network without a linear layer, with all layers trainable."""
    network = GeoLocalizationNet(backbone, 0, train_all_layers=True)
    try:
        load_pretrained(network.backbone, backbone, "imagenet")
    except PlacewiseError:
        print(f"{backbone} has random weights: the ImageNet weights cannot be downloaded")
    return network


if __name__ == "__main__":
    main()
