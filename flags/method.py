"""Settings: method, loss and miner, and the losses beside the method."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from commons.options import help_text
from flags import values
from flags.settings import setting
from losses import LOSSES, MINERS
from losses.self_supervised import SELF_SUPERVISED
from methods import METHODS
from training.adaptation import ADAPTATIONS, DESCRIPTOR_ADAPTATIONS


def _explain_method(name: str) -> str:
    text = help_text("method", name, METHODS)
    defaults = " ".join(method_defaults(METHODS[name].defaults))
    return f"{text}\n\nIts defaults: {defaults}" if defaults else text


def method_defaults(defaults: Mapping[str, object]) -> list[str]:
    """Returns the flags that have other defaults with a method, as they are typed."""
    return [_typed(flag, value) for flag, value in defaults.items()]


def _typed(flag: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    if isinstance(value, dict):
        return f"--{flag} {','.join(map('='.join, value.items()))}"
    if isinstance(value, list):
        numbers = value and not isinstance(value[0], str)
        return f"--{flag} {' '.join(map(str, value)) if numbers else ','.join(value) or 'none'}"
    return f"--{flag} {value}"


def _explain_adaptation(name: str) -> str:
    from training.adaptation.options import adaptation_help

    return adaptation_help(name)


@dataclass(frozen=True)
class MethodSettings:
    """Method and loss"""

    method: str = setting(
        "cosplace",
        f"training method, which forms the batches and adds what is trained besides the network: {', '.join(METHODS)}",
        metavar="NAME",
        explain=_explain_method,
    )
    method_options: dict = setting(
        {},
        "options of the method; --help_method NAME lists them",
        values.pairs,
        metavar="KEY=VALUE,...",
        follows=("method",),
    )
    loss: str = setting(
        "cosface",
        f"loss: {', '.join(LOSSES)}; cosplace and eigenplaces take the first four, street_to_aerial takes "
        "the last two, gsv takes the others",
        metavar="NAME",
        explain=partial(help_text, "loss", registry=LOSSES),
    )
    loss_options: dict = setting(
        {},
        "options of the loss; --help_loss NAME lists them",
        values.pairs,
        metavar="KEY=VALUE,...",
        follows=("loss",),
    )
    miner: str = setting(
        "auto",
        f"miner, which selects the pairs or triplets for a metric loss: {', '.join(MINERS)}, none, or auto for the "
        "default of the loss",
        metavar="NAME",
        explain=partial(help_text, "miner", registry=MINERS),
        follows=("loss",),
    )
    miner_options: dict = setting(
        {},
        "options of the miner; --help_miner NAME lists them",
        values.pairs,
        metavar="KEY=VALUE,...",
        follows=("loss", "miner"),
    )
    matryoshka: list[int] = setting(
        [],
        "also train the first D dimensions as a descriptor, for each D in this list, e.g. 64,128,256 (docs/compact.md)",
        values.dimensions,
        metavar="D,...",
    )


@dataclass(frozen=True)
class ExtraSettings:
    """Self-supervision and domain adaptation"""

    tasks: ClassVar[tuple[str, ...]] = ("place_recognition",)

    self_supervised_weight: float = setting(
        0.0,
        "add W times a loss on two augmented views of each image in the batch; --method selfsup trains with this loss "
        "alone",
        values.natural_float,
        metavar="W",
    )
    self_supervised_loss: str = setting(
        "vicreg",
        f"loss on the two views: {', '.join(SELF_SUPERVISED)}",
        metavar="NAME",
        explain=partial(help_text, "self_supervised_loss", registry=SELF_SUPERVISED),
    )
    self_supervised_loss_options: dict = setting(
        {},
        "options of the self-supervised loss; --help_self_supervised_loss NAME lists them",
        values.pairs,
        metavar="KEY=VALUE,...",
        follows=("self_supervised_loss",),
    )
    target_folder: str | None = setting(
        None,
        "unlabelled images of the domain to adapt to, e.g. photos at night; with the test queries, the result is "
        "transductive",
        metavar="DIR",
        on_resume=True,
    )
    adaptation: list[str] = setting(
        [],
        f"how to adapt to the images of --target_folder: {', '.join(ADAPTATIONS)} (for batch normalization, see "
        "--adapt_batch_norm of eval.py)",
        values.names,
        metavar="NAME,...",
        explain=_explain_adaptation,
    )
    adaptation_options: dict = setting(
        {},
        "options of the adaptations, such as fourier.beta=0.05; --help_adaptation NAME lists them",
        values.pairs,
        metavar="NAME.KEY=VALUE,...",
        entries_of="adaptation",
    )
    adaptation_weight: float = setting(
        1.0, f"weight of the losses {' and '.join(DESCRIPTOR_ADAPTATIONS)}", values.positive_float, metavar="W"
    )
    auxiliary_lr: float = setting(
        1e-3,
        "learning rate (Adam) of the projector of the self-supervised loss and of the domain classifier",
        values.positive_float,
    )
