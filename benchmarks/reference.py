"""Runs an unmodified checkout of the reference implementation: python benchmarks/reference.py PATH WAY SETTINGS

Other benchmarks start it in an empty folder, because the reference writes a cache to the working directory. Prints
images/s.
"""

import json
import sys
import time
from types import ModuleType, SimpleNamespace

import numpy
import torch
import torchvision

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def main() -> None:
    """Entry point."""
    checkout, way, settings = sys.argv[1:]
    sys.path[0] = checkout
    args = SimpleNamespace(**json.loads(settings))
    args.device = "cuda" if torch.cuda.is_available() else "cpu"
    prepare(args.backbone)
    print({"training": training, "extraction": extraction}[way](args))


def prepare(backbone: str) -> None:
    """Makes the reference run offline, with current packages and without those for drawing."""
    build = getattr(torchvision.models, backbone.lower())
    setattr(torchvision.models, backbone.lower(), lambda **_: build())
    numpy.in1d = getattr(numpy, "in1d", numpy.isin)
    sys.modules["visualizations"] = ModuleType("visualizations")


def training(args: SimpleNamespace) -> float:
    """Images/s over `iterations` batches after `warm_up` batches, from files to both optimizer steps."""
    from cosface_loss import MarginCosineProduct
    from cosplace_model.cosplace_network import GeoLocalizationNet

    from commons import InfiniteDataLoader
    from datasets.train_dataset import TrainDataset

    network = GeoLocalizationNet(args.backbone, args.fc_output_dim).to(args.device).train()
    group = TrainDataset(args, args.train_set_folder, min_images_per_class=args.min_images_per_class)
    classifier = MarginCosineProduct(args.fc_output_dim, len(group)).to(args.device)
    optimizers = [torch.optim.Adam(network.parameters(), lr=1e-5), torch.optim.Adam(classifier.parameters(), lr=1e-2)]
    augment = augmentation(args) if args.augmentation_device == "cuda" else torch.nn.Identity()
    workers = {"num_workers": args.num_workers, "pin_memory": args.device == "cuda"}
    batches = iter(InfiniteDataLoader(group, batch_size=args.batch_size, shuffle=True, drop_last=True, **workers))
    for iteration in range(args.warm_up + args.iterations):
        if iteration == args.warm_up:
            start = time.perf_counter()
        images, labels, _ = next(batches)
        descriptors = network(augment(images.to(args.device)))
        loss = torch.nn.functional.cross_entropy(
            classifier(descriptors, labels.to(args.device)), labels.to(args.device)
        )
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        loss.item()
    return args.iterations * args.batch_size / (time.perf_counter() - start)


def augmentation(args: SimpleNamespace) -> torch.nn.Module:
    """Its augmentations of a batch, with its default strengths, which are also those of Placewise."""
    from augmentations import DeviceAgnosticColorJitter, DeviceAgnosticRandomResizedCrop

    jitter = DeviceAgnosticColorJitter(args.brightness, args.contrast, args.saturation, args.hue)
    crop = DeviceAgnosticRandomResizedCrop([args.image_size] * 2, scale=[1 - args.random_resized_crop, 1])
    return torch.nn.Sequential(jitter, crop, torchvision.transforms.Normalize(MEAN, STD))


def extraction(args: SimpleNamespace) -> float:
    """Images/s of its evaluation of a test set, after that of a small set."""
    import test
    from cosplace_model.cosplace_network import GeoLocalizationNet

    from datasets.test_dataset import TestDataset

    network = GeoLocalizationNet(args.backbone, args.fc_output_dim).to(args.device)
    for folder in (args.warm_up_folder, args.test_set_folder):
        images = TestDataset(folder)
        start = time.perf_counter()
        test.test(args, images, network)
    return len(images) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
