"""Settings: folders, device, precision, workers."""

from dataclasses import dataclass

from commons.trackers import TRACKERS
from flags import values
from flags.settings import setting


@dataclass(frozen=True)
class DeviceSettings:
    """Device"""

    device: str = setting(
        "auto",
        "device to compute on; auto uses a GPU if there is one",
        choices=("auto", "cuda", "cpu", "mps"),
        on_resume=True,
        changes_result=False,
    )
    precision: str = setting(
        "auto",
        "precision of the network; auto uses bf16 if it is fast for this network on the device, fp16 on older GPUs, "
        "otherwise fp32",
        choices=("auto", "fp32", "bf16", "fp16"),
        aliases={"use_amp16": "auto"},
        on_resume=True,
    )


@dataclass(frozen=True)
class LoaderSettings(DeviceSettings):
    """Device and workers"""

    num_workers: int = setting(
        values.cores(),
        "workers per process that read images; with a GPU they also decode them, on a CPU the threads of PyTorch do",
        values.natural,
        on_resume=True,
        changes_result=False,
    )


@dataclass(frozen=True)
class RunSettings(LoaderSettings):
    """Run"""

    config: str | None = setting(
        None,
        "read flags from this YAML file, e.g. the config.yaml of a run; flags on the command line override it",
        metavar="FILE",
        changes_result=False,
        kept=False,
    )
    save_dir: str = setting("default", "write the run to logs/NAME/<date_time>", metavar="NAME", changes_result=False)
    output_folder: str | None = setting(
        None, "write the run to this folder instead", metavar="DIR", changes_result=False, kept=False
    )
    compile: bool = setting(
        False,
        "compile the network with torch.compile, which starts more slowly and then processes more images per second",
        on_resume=True,
        changes_result=False,
    )
    seed: int = setting(0, "seed of all random numbers", values.seed, changes_result=False)


@dataclass(frozen=True)
class TrainRun(RunSettings):
    """Run"""

    trackers: list[str] = setting(
        ["tensorboard"],
        f"trackers that log the metrics of each epoch: {', '.join(TRACKERS)}, or none; wandb needs `pip install wandb`",
        values.names,
        metavar="NAME,...",
        on_resume=True,
        changes_result=False,
    )
    cache_images: str = setting(
        "none",
        "keep training and validation images in memory (ram), or in one file in cache/ (disk): for disks that are slow "
        "with many small files",
        choices=("none", "ram", "disk"),
        on_resume=True,
        changes_result=False,
    )
    cache_features: str = setting(
        "none",
        "freeze the encoder and train the head alone, on descriptors that are extracted once: ram keeps them in "
        "memory, disk in a file in cache/, which later runs reuse",
        choices=("none", "ram", "disk"),
    )
    cached_views: int = setting(
        1,
        "with --cache_features: extract N descriptors per training image: of the image itself, and of N - 1 augmented "
        "copies of its central square",
        values.positive,
        metavar="N",
    )
    decode: str = setting(
        "auto",
        "with a GPU, decode training images in the workers (cpu) or with nvJPEG (gpu); auto measures both at the "
        "start and uses the faster one. Their pixels differ by rounding",
        choices=("auto", "cpu", "gpu"),
        on_resume=True,
        changes_result=False,
    )
    loader: str = setting(
        "auto",
        "what decodes, resizes and crops training images: torch, as set by --decode; dali, NVIDIA DALI (pip install "
        "nvidia-dali-cuda130), whose pixels differ slightly; auto, the faster one if there is a GPU and DALI is "
        "installed",
        choices=("auto", "torch", "dali"),
        on_resume=True,
        changes_result=False,
    )
