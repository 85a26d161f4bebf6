"""Model soups, one network of the mean weights of several: python -m tools.soup a.pth b.pth [...]"""

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from commons import devices
from commons.checkpoints import save_checkpoint
from commons.errors import PlacewiseError, run
from commons.logging import setup_logging
from model.network import GeoLocalizationNet, network_settings
from model.pretrained import load_network
from training.soup import State, greedy_soup, uniform_soup


def load_members(paths: Sequence[Path]) -> Iterator[tuple[GeoLocalizationNet, dict]]:
    """Yields the networks and configurations of checkpoints, one at a time.

    Raises:
        PlacewiseError: if one is another network than the first.
    """
    wanted = {}
    for path in paths:
        network, config = load_network(path)
        own = network_settings(config)
        wanted = wanted or own
        for key in wanted | own:
            if own.get(key) != wanted.get(key):
                raise PlacewiseError(
                    f"{paths[0]} and {path} are different networks, with {key} {wanted.get(key)} and {own.get(key)}: "
                    "only weights of the same network can be averaged"
                )
        yield network, config


def main() -> None:
    """Entry point."""
    # Recalls are measured by eval.py, which stands above this room.
    from flags.tools import parse_soup_arguments
    from reports.tables import results_text

    args = parse_soup_arguments()
    setup_logging(quiet=True)
    paths = [Path(name) for name in args.checkpoints]
    configs = [config for _, config in load_members(paths)]
    targets = {folder: images for config in configs for folder, images in config.pop("targets", {}).items()}
    config = configs[0]
    measure = _measurer(args, load_network(paths[0])[0], config) if args.dataset_folder or args.val_set_folder else None

    def load(member: int) -> State:
        return load_network(paths[member])[0].state_dict()

    members = range(len(paths))
    results = {str(paths[member]): measure(load(member)) for member in members} if measure else {}
    if args.method == "uniform":
        state, chosen = uniform_soup(map(load, members)), list(members)
    else:
        recalls = [results[str(path)]["R@1"] for path in paths]
        state, chosen = greedy_soup(load, recalls, lambda soup: measure(soup)["R@1"])
    if measure:
        results[args.output] = measure(state)
        print(results_text(results, "network"))
    names = [str(paths[member]) for member in chosen]
    soup = {"method": args.method, "members": names}
    checkpoint = {"network": state, "config": config, "soup": soup, "results": results, "targets": targets}
    save_checkpoint(checkpoint, Path(args.output))
    print(f"{args.output}: the mean of {', '.join(names)}")


def _measurer(args: Namespace, network: GeoLocalizationNet, config: dict) -> Callable[[State], dict]:
    """Returns what measures a state dict's recalls on the validation set, in a network of this one's kind."""
    from datasets.layouts import validation_folders
    from datasets.test_dataset import read_test_set
    from demo import SIZES
    from demo.write import make_demo
    from eval import CACHE, choose_shorter_side, evaluate

    devices.keep_freed_memory()
    accelerator = devices.make_accelerator(args.device)
    folder = args.dataset_folder
    folder = make_demo(CACHE / folder, folder) if folder in SIZES else folder
    test_set = read_test_set(validation_folders(folder, args.val_set_folder, args.queries_folder))
    print(test_set)
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    precision = devices.choose_precision(args.precision, accelerator.device, described_by=network)
    how = {
        "precision": precision,
        "batch_size": args.infer_batch_size,
        "num_workers": args.num_workers,
        "shorter_side": choose_shorter_side(args.image_size, args.resize_test_imgs, {"": config}),
        "threshold": args.positive_dist_threshold,
    }

    def measure(state: State) -> dict:
        network.load_state_dict(state)
        return evaluate(network, test_set, accelerator, **how).results

    return measure


if __name__ == "__main__":
    run(main)
