"""Flags of measuring: test sets, index, what is done at test time."""

import argparse

from flags import values
from retrieval import INDICES, WHITENING


def add_queries_folder(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--queries_folder", metavar="NAME", help="which queries of a test set, where it has several, e.g. queries_v1"
    )


def add_measuring(group: argparse._ActionsContainer, default_resize: bool | None) -> None:
    group.add_argument(
        "--resize_test_imgs",
        action=argparse.BooleanOptionalAction,
        default=default_resize,
        help="resize the shorter side of validation and test images to image_size, keeping the aspect ratio",
    )
    group.add_argument("--infer_batch_size", type=values.positive, default=16, help="images in a batch of evaluation")
    group.add_argument(
        "--positive_dist_threshold",
        type=values.positive_float,
        default=25.0,
        help="metres within which a prediction is right",
    )


def add_evaluation(parser: argparse.ArgumentParser, default_resize: bool | None = False) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("evaluation")
    add_measuring(group, default_resize)
    group.add_argument(
        "--index",
        choices=list(INDICES),
        default="flat",
        help=(
            "exact search, or approximate search for millions of images: hnsw is fast, ivfpq keeps the descriptors on "
            "disk and 72 bytes an image in memory"
        ),
    )
    group.add_argument(
        "--num_preds_to_save",
        type=values.natural,
        default=0,
        metavar="N",
        help=("write a picture of each query with its first N predictions, and a page to look through them"),
    )
    group.add_argument(
        "--save_only_wrong_preds", action="store_true", help="only pictures of queries whose first prediction is wrong"
    )
    return group


def add_test_time(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("test time")
    group.add_argument(
        "--multi_scale",
        type=values.scales,
        default=[],
        metavar="SCALE,...",
        help="average the descriptors of each image at these scales, e.g. 0.7,1,1.4; plain ones are described as well",
    )
    group.add_argument(
        "--five_crops",
        type=values.share,
        nargs="?",
        const=1.0,
        default=0.0,
        metavar="SHARE",
        help=(
            "average the descriptors of five square crops of each query: corners and centre, their side is SHARE (by "
            "default 1) of the shorter side; plain ones are described as well"
        ),
    )
    group.add_argument(
        "--pca_dim", type=values.natural, default=0, metavar="D", help="reduce descriptors to D dimensions by a PCA"
    )
    group.add_argument(
        "--whiten",
        choices=list(WHITENING),
        default="none",
        help="divide each component of the PCA by its deviation (full), by the root of it (half), or by nothing",
    )
    group.add_argument(
        "--pca_images", metavar="DIR", help="fit the PCA to these images instead of each test set's database"
    )
    group.add_argument("--pca_file", metavar="FILE", help="a PCA of another run (pca.pth of its folder)")
    group.add_argument(
        "--database_augmentation",
        type=values.natural,
        default=0,
        metavar="K",
        help="add to each database descriptor its K nearest others",
    )
    group.add_argument(
        "--query_expansion",
        type=values.natural,
        default=0,
        metavar="K",
        help="add to each query its K nearest database descriptors, and search again",
    )
    group.add_argument(
        "--expansion_alpha",
        type=values.natural_float,
        default=3.0,
        metavar="ALPHA",
        help="their weight is cosine^ALPHA; 0 for a plain mean",
    )
