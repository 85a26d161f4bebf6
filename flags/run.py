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
        "auto uses a GPU if there is one",
        choices=("auto", "cuda", "cpu", "mps"),
        on_resume=True,
        changes_result=False,
    )
    precision: str = setting(
        "auto",
        "auto uses bf16 where the device computes this network fast in it, fp16 on older GPUs, else fp32",
        choices=("auto", "fp32", "bf16", "fp16"),
        aliases={"use_amp16": "auto"},
        on_resume=True,
    )
    num_workers: int = setting(
        values.cores(),
        "readers of images per process; on a GPU they also decode, on a CPU all of PyTorch's threads do",
        values.natural,
        on_resume=True,
        changes_result=False,
    )


@dataclass(frozen=True)
class RunSettings(DeviceSettings):
    """Run"""

    config: str | None = setting(
        None,
        "read flags from this YAML file, e.g. the config.yaml of a run; flags on the command line win",
        metavar="FILE",
        changes_result=False,
        kept=False,
    )
    save_dir: str = setting(
        "default", "the folder of the run is logs/<save_dir>/<date_time>", metavar="NAME", changes_result=False
    )
    output_folder: str | None = setting(
        None, "the folder of the run, exactly", metavar="DIR", changes_result=False, kept=False
    )
    compile: bool = setting(
        False,
        "compile the network with torch.compile: a slower start, then more images per second",
        on_resume=True,
        changes_result=False,
    )
    seed: int = setting(0, "seed of all random draws", values.seed, changes_result=False)


@dataclass(frozen=True)
class TrainRun(RunSettings):
    """Run"""

    trackers: list[str] = setting(
        ["tensorboard"],
        f"where to send the figures of each epoch: {', '.join(TRACKERS)}, or none; W&B needs `pip install wandb`",
        values.names,
        metavar="NAME,...",
        on_resume=True,
        changes_result=False,
    )
    cache_images: str = setting(
        "none",
        "keep training and validation images in memory, or in one file in cache/: for disks that are slow with many "
        "small files",
        choices=("none", "ram", "disk"),
        on_resume=True,
        changes_result=False,
    )
    decode: str = setting(
        "auto",
        "on a GPU, decode training images in the workers or with nvJPEG; auto times both at the start. Their pixels "
        "differ by rounding",
        choices=("auto", "cpu", "gpu"),
        on_resume=True,
        changes_result=False,
    )
