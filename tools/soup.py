"""Averages the weights of several networks (model soup): python -m tools.soup a.pth b.pth [...]"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from commons import devices
from commons.checkpoints import save_checkpoint
from commons.errors import PlacewiseError, run
from commons.logging import setup_logging
from flags.tools import SoupSettings, parse_soup_settings
from tasks.task import Task, task_of
from training.soup import State, greedy_soup, uniform_soup


def load_members(task: type[Task], paths: Sequence[Path]) -> Iterator[tuple[nn.Module, dict[str, Any]]]:
    """Yields the networks and configurations of checkpoints, one at a time.

    Raises:
        PlacewiseError: if a network differs from the first one in more than its weights.
    """
    wanted = {}
    for path in paths:
        network, config = task.load_network(path)
        own = task.network_settings(config)
        wanted = wanted or own
        for key in wanted | own:
            if own.get(key) != wanted.get(key):
                raise PlacewiseError(
                    f"{paths[0]} and {path} are different networks, with {key} {wanted.get(key)} and {own.get(key)}: "
                    "only weights of the same network can be averaged"
                )
        yield network, config


class Measure:
    """Evaluates state dicts on the validation set."""

    def __init__(self, settings: SoupSettings, task: type[Task], network: nn.Module, config: dict[str, Any]) -> None:
        """Args:
        settings: settings of the program.
        task: task of the networks.
        network: network that state dicts are loaded into.
        config: configuration of its checkpoint.
        """
        devices.keep_freed_memory()
        accelerator = devices.make_accelerator(settings.run.device)
        self.task = task(settings, accelerator)
        self.test_set = self.task.read_validation_set()
        self.network = network.to(accelerator.device, memory_format=torch.channels_last)
        self.precision = devices.choose_precision(settings.run.precision, accelerator.device, extracted_by=network)
        self.task.prepare(network, {"": config}, [self.test_set])

    def results(self, state: State) -> dict[str, Any]:
        """Returns the results of a state dict."""
        self.network.load_state_dict(state)
        return self.task.evaluate(self.network, self.test_set, self.precision, None).results

    def score(self, state: State) -> float:
        """Returns the score of a state dict by the main metric; higher is better."""
        return self.score_of(self.results(state))

    def score_of(self, results: dict[str, Any]) -> float:
        """Returns the score of results by the main metric; higher is better."""
        return self.task.main_metric.score(results[self.task.main_metric.name])


def main(settings: SoupSettings | None = None) -> None:
    """Entry point."""
    settings = settings or parse_soup_settings()
    setup_logging(quiet=True)
    chosen = settings.members
    paths = [Path(name) for name in chosen.checkpoints]
    task = task_of(paths)
    configs = [config for _, config in load_members(task, paths)]
    targets = {folder: images for config in configs for folder, images in config.pop("targets", {}).items()}
    entries = {name: configs[0][name] for name in task.carried if name in configs[0]}
    measure = None
    if settings.data.dataset_folder or settings.data.val_set_folder:
        measure = Measure(settings, task, task.load_network(paths[0])[0], configs[0])
        print(measure.test_set)

    def load(member: int) -> State:
        return task.load_network(paths[member])[0].state_dict()

    members = range(len(paths))
    results = {str(paths[member]): measure.results(load(member)) for member in members} if measure else {}
    if chosen.method == "uniform":
        state, included = uniform_soup(map(load, members)), list(members)
    else:
        scores = [measure.score_of(results[str(path)]) for path in paths]
        state, included = greedy_soup(load, scores, measure.score)
    if measure:
        results[chosen.output] = measure.results(state)
        print(measure.task.table(results, "network"))
    names = [str(paths[member]) for member in included]
    soup = {"soup": {"method": chosen.method, "members": names}, "results": results, "targets": targets}
    config = {name: value for name, value in configs[0].items() if name not in entries}
    record = (measure.task if measure else task(settings, None)).record()
    save_checkpoint({"network": state, "config": config} | entries | soup | record, Path(chosen.output))
    print(f"{chosen.output}: the mean of {', '.join(names)}")


if __name__ == "__main__":
    run(main)
