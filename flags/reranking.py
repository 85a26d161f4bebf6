"""Settings: re-ranking of the first predictions by local features."""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from commons.errors import UsageError
from commons.files import check_writable
from commons.options import help_text, read_options
from flags import values
from flags.settings import setting
from matchers import MATCHERS


@dataclass(frozen=True)
class RerankingSettings:
    """Re-ranking"""

    tasks: ClassVar[tuple[str, ...]] = ("place_recognition",)

    rerank: str | None = setting(
        None,
        "re-rank the first predictions of each query by matching local features with geometric verification",
        choices=tuple(MATCHERS),
        explain=partial(help_text, "rerank", registry=MATCHERS),
    )
    rerank_options: dict[str, str] = setting(
        {}, "options of the matcher", values.pairs, metavar="K=V,...", follows=("rerank",)
    )
    rerank_top: int = setting(10, "number of predictions to re-rank", values.positive, metavar="K")
    rerank_when: str = setting(
        "always",
        "always re-ranks all queries; auto skips queries whose first prediction is probably correct, with a threshold "
        "chosen on the validation set; FILE, the reranking.json of a run with auto, uses the threshold of that run",
        metavar="always|auto|FILE",
        follows=("rerank",),
    )
    rerank_image_size: int = setting(
        640,
        "reduce the shorter side of larger images to N pixels before keypoint extraction",
        values.positive,
        metavar="N",
    )
    keypoints_folder: str | None = setting(
        None,
        "save the keypoints of images in DIR, where other runs can reuse them; by default, in keypoints/ in the "
        "folder of the run",
        metavar="DIR",
        changes_result=False,
    )


def check_reranking(args: argparse.Namespace, given: dict) -> None:
    """Checks the flags of re-ranking, and fills in the options of the matcher.

    Raises:
        UsageError: if a flag has no effect, or flags are in conflict.
    """
    if args.rerank is None:
        for name in ("rerank_options", "rerank_top", "rerank_when", "rerank_image_size", "keypoints_folder"):
            if name in given:
                raise UsageError(f"--{name} needs --rerank")
        return
    try:
        matcher = MATCHERS[args.rerank]
        from matchers.matcher import check_installed  # imports NumPy; --help needs none
    except ImportError as error:
        raise UsageError(f"--rerank needs OpenCV ({error}): pip install opencv-python-headless") from error
    check_installed(args.rerank, matcher)
    args.rerank_options = read_options("rerank", args.rerank, matcher, args.rerank_options)
    if args.rerank_top < 2:
        raise UsageError(f"--rerank_top {args.rerank_top}: must be at least 2")
    if args.rerank_when == "auto" and args.no_labels:
        raise UsageError(
            "--rerank_when auto and --no_labels are in conflict: without positions, no prediction is known to be "
            "correct; give the reranking.json of a run with labels"
        )
    if args.rerank_when not in ("always", "auto") and not Path(args.rerank_when).is_file():
        raise UsageError(f"--rerank_when {args.rerank_when}: must be always, auto or an existing file")
    if args.keypoints_folder:
        check_writable(Path(args.keypoints_folder), "keypoints_folder")
