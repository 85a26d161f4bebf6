"""Settings: length of the training, learning rates, optimizer and schedule."""

from dataclasses import dataclass

from flags import values
from flags.settings import setting
from training.schedules import SCHEDULES


@dataclass(frozen=True)
class TrainingSettings:
    """Training"""

    epochs_num: int = setting(50, "number of epochs", values.natural, on_resume=True)
    iterations_per_epoch: int = setting(10000, "batches per epoch", values.positive)
    batch_size: int = setting(32, "images per batch, over all processes together", values.positive)
    classifiers_lr: float = setting(
        1e-2,
        "learning rate (Adam) of the classifiers; with --method cells, learning rate of the head",
        values.positive_float,
    )
    image_size: int | list[int] = setting(
        512,
        "side of the square training images in pixels. With --method street_to_aerial, side, or height and width, of a "
        "box into which photos are fitted",
        values.positive,
        nargs="+",
        metavar="N",
    )
    resume_train: str | None = setting(
        None,
        "continue the run of this last_checkpoint.pth with its settings; needs no other flag",
        metavar="FILE",
        on_resume=True,
        changes_result=False,
        kept=False,
    )
    test_untrained: bool = setting(False, "also evaluate on the test set before training", changes_result=False)
    patience: int = setting(
        0,
        "stop after N epochs without a better validation result; 0 disables early stopping",
        values.natural,
        metavar="N",
        on_resume=True,
    )


@dataclass(frozen=True)
class OptimizerSettings:
    """Optimizer and schedule of the network"""

    optimizer: str = setting(
        "adam", "optimizer: adam, adamw, sgd, asgd, lion, lamb or any other of PyTorch and timm", metavar="NAME"
    )
    optimizer_options: dict = setting(
        {},
        "keyword arguments of the optimizer, such as momentum=0.9 or betas=0.9:0.95",
        values.pairs,
        metavar="KEY=VALUE,...",
        follows=("optimizer",),
    )
    lr: float = setting(1e-5, "learning rate of the network", values.positive_float)
    weight_decay: float = setting(
        0.0, "weight decay; not applied to norms, biases, tokens and position embeddings", values.natural_float
    )
    layer_decay: float = setting(
        1.0,
        "multiply the learning rate by this factor from each block of the backbone to the block before it",
        values.positive_float,
    )
    scheduler: str = setting("none", "learning rate schedule", choices=tuple(SCHEDULES))
    warmup_iterations: int = setting(
        0, "number of iterations in which the learning rate rises linearly from 0", values.natural, metavar="N"
    )
    milestones: list[int] = setting(
        [],
        "epochs at which multistep lowers the learning rate",
        values.positive,
        nargs="+",
        metavar="EPOCH",
        follows=("scheduler",),
    )
    lr_gamma: float = setting(
        0.1, "factor by which multistep and plateau lower the learning rate", values.positive_float,
        follows=("scheduler",),
    )  # fmt: skip
    plateau_patience: int = setting(
        3,
        "plateau lowers the learning rate after more than N epochs without a better validation result",
        values.natural,
        metavar="N",
        follows=("scheduler",),
    )
    lr_power: float = setting(
        1.0, "exponent of polynomial; 1 lowers the learning rate linearly", values.positive_float,
        follows=("scheduler",),
    )  # fmt: skip
    clip_grad: float = setting(0.0, "maximum gradient norm; 0 disables clipping", values.natural_float, metavar="NORM")
    accumulate: int = setting(
        1,
        "average the gradients of N batches before each step; iterations still count batches",
        values.positive,
        metavar="N",
    )
    ema: float = setting(
        0.0,
        "evaluate and save an exponential moving average of the weights with this decay, e.g. 0.999; 0 disables it",
        values.natural_float,
        metavar="DECAY",
    )
