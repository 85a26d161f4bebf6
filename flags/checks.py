"""Checks of flags that do not go together or are out of range, before any image is read."""

import argparse
from pathlib import Path

from augmentations import FLAGS
from augmentations.options import check_augmentations
from commons.errors import UsageError
from commons.options import check_name, read_options
from commons.trackers import check_trackers
from datasets.cell_parameters import check_parameters
from flags import values
from flags.cell_checks import check_cells, check_measuring
from flags.cross_view_checks import check_cross_view
from flags.method_checks import check_adaptation, check_method, check_optimization, check_self_supervision
from flags.network import architecture_names
from flags.region_checks import check_regions
from flags.reranking import check_reranking
from losses.matryoshka import check_prefixes
from model import network as networks
from model.aggregation import AGGREGATIONS
from model.aggregation.options import own_dimension
from model.backbones.building import check_backbone_name
from model.formats import is_exported
from model.published import PUBLISHED
from model.published.weights import check_published, find_published
from retrieval.engine import read_engine

# A prediction takes 352 pixels of a sheet, and a JPEG has 65,500 in a row.
MOST_PREDICTIONS = 180


def check_predictions(args: argparse.Namespace) -> None:
    """Checks which predictions to draw."""
    if args.save_only_wrong_preds and not args.num_preds_to_save:
        raise UsageError("--save_only_wrong_preds needs --num_preds_to_save")
    if args.num_preds_to_save > MOST_PREDICTIONS:
        raise UsageError(
            f"--num_preds_to_save {args.num_preds_to_save}: must be at most {MOST_PREDICTIONS}, because of the maximum "
            "width of a JPEG"
        )


def check_index_options(args: argparse.Namespace) -> None:
    """Fills in the options of the index, and refuses what would search several databases in one collection."""
    args.index_options = read_engine(args.index, {key: str(value) for key, value in args.index_options.items()}).options
    if getattr(args, "descriptor_type", None) == "float32" and args.index != "flat":
        raise UsageError(
            f"--descriptor_type float32 and --index {args.index} are in conflict: this index stores descriptors in "
            "float16 until it is built; leave out --descriptor_type, or use --index flat"
        )
    for flag in ("multi_scale", "pca_dim", "pca_file", "database_augmentation", "descriptor_type"):
        if args.index == "milvus" and getattr(args, flag, None):
            raise UsageError(
                f"--{flag} and --index milvus are in conflict: the collection contains the descriptors of a single "
                "step; use another index"
            )


def check_trainable(args: argparse.Namespace, given: dict) -> None:
    """Checks that one flag alone says which layers are trained."""
    choices = ("train_all_layers", "num_trainable_blocks", "freeze")
    chosen = [name for name in choices if given.get(name) is not None and given[name] is not False]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} are in conflict: choose one")
    if chosen and chosen[0] != "train_all_layers":
        args.train_all_layers = False  # the default of a method
    if args.train_all_layers or args.freeze:
        args.num_trainable_blocks = None  # the default of the demo


def check_training(args: argparse.Namespace, given: dict, default_options: dict[str, str]) -> None:
    """Checks the flags of train.py for a new run, and fills in what they leave open.

    Args:
        args: all values.
        given: those that do not come from defaults.
        default_options: default options of the method's own loss.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    check_trainable(args, given)
    values.check_image_size(args)
    check_method(args, given, default_options)
    check_cells(args, given)
    check_self_supervision(args, given)
    check_adaptation(args, given)
    check_optimization(args, given)
    check_network(args, given)
    check_cross_view(args)
    check_augmentation(args, given)
    check_parameters(args.M, args.alpha, args.N, args.L)
    check_predictions(args)
    check_index_options(args)
    check_trackers(args.trackers)
    if args.resume_model and is_exported(args.resume_model):
        raise UsageError(
            f"--resume_model {args.resume_model}: an exported network can be evaluated (eval.py), not trained; give "
            "the checkpoint from which it was exported"
        )


def check_evaluation(args: argparse.Namespace, given: dict) -> None:
    """Checks the flags of eval.py; one --image_size becomes a number.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    check_sets(args)
    if isinstance(args.positive_dist_threshold, list) and len(args.positive_dist_threshold) == 1:
        (args.positive_dist_threshold,) = args.positive_dist_threshold
    values.check_image_size(args)
    if args.image_size is not None and args.resize_test_imgs is False:
        raise UsageError(
            "--image_size and --no-resize_test_imgs are in conflict: one resizes the images, the other does not"
        )
    if args.vocabulary and not Path(args.vocabulary).is_file():
        raise UsageError(f"--vocabulary {args.vocabulary}: there is no such file")
    if args.adapt_batch_norm and not Path(args.adapt_batch_norm).is_dir():
        raise UsageError(f"--adapt_batch_norm {args.adapt_batch_norm}: there is no such folder")
    check_predictions(args)
    check_index_options(args)
    if args.save_only_wrong_preds and args.no_labels:
        raise UsageError(
            "--save_only_wrong_preds and --no_labels are in conflict: without positions, no prediction is known to be "
            "wrong"
        )
    check_network(args, given)
    check_test_time(args, given)
    check_sequences(args, given)
    check_reranking(args, given)
    check_exported(args)
    check_measuring(args)
    check_regions(args)
    if args.save_descriptors == "hloc":
        from tasks.exports import check_h5py  # takes a second to import

        check_h5py()


def check_sets(args: argparse.Namespace) -> None:
    """Checks where the test sets of an evaluation are."""
    sets = ("dataset_folder", "test_set_folder", "val_set_folder")
    named = next((name for name in sets if getattr(args, name)), None)
    if args.database_folder is None and named is None:
        raise UsageError("nothing to evaluate: give --dataset_folder or --test_set_folder")
    if args.database_folder is None:
        return
    for name in filter(None, (named, "layout" if args.layout else None, "protocol" if args.protocol else None)):
        raise UsageError(
            f"--database_folder and --{name} are in conflict: --database_folder is searched with the images of "
            "--queries_folder only"
        )
    stored = Path(args.database_folder) / "network.pth"
    if not (args.resume_model or args.pretrained_model) and stored.with_name("manifest.json").is_file():
        args.resume_model = [str(stored)]
    if not args.queries_folder:
        raise UsageError("--database_folder needs --queries_folder, one or more folders")


def check_resumed(args: argparse.Namespace) -> None:
    """Checks the flags that may differ when a run continues."""
    check_predictions(args)
    check_index_options(args)
    check_trackers(args.trackers)


def check_test_time(args: argparse.Namespace, given: dict) -> None:
    """Checks the crops, the PCA and the expansion of queries and database."""
    if args.test_method == "central_crop" and args.five_crops:
        raise UsageError("--test_method central_crop and --five_crops are in conflict: central_crop is a single crop")
    if args.test_method in ("nearest_crop", "maj_voting") and args.save_descriptors:
        raise UsageError(
            f"--test_method {args.test_method} and --save_descriptors are in conflict: a query has five descriptors"
        )
    if args.pca_images and args.pca_file:
        raise UsageError("--pca_images and --pca_file are in conflict: the file contains a fitted PCA")
    for flag, needs, there in (
        ("pca_images", "--pca_dim", args.pca_dim),
        ("whiten", "--pca_dim or --pca_file", args.pca_dim or args.pca_file),
        ("expansion_alpha", "--query_expansion or --database_augmentation",
         args.query_expansion or args.database_augmentation),
    ):  # fmt: skip
        if flag in given and not there:
            raise UsageError(f"--{flag} needs {needs}")
    if args.pca_images and not Path(args.pca_images).is_dir():
        raise UsageError(f"--pca_images {args.pca_images}: there is no such folder")
    if args.pca_file and not Path(args.pca_file).is_file():
        raise UsageError(f"--pca_file {args.pca_file}: there is no such file")


def check_sequences(args: argparse.Namespace, given: dict) -> None:
    """Checks how sequences are searched."""
    if args.sequence_length == 1:
        for flag in ("sequence_mode", "sequence_method", "sequence_velocity"):
            if flag in given:
                raise UsageError(f"--{flag} needs --sequence_length above 1")
        return
    if args.descriptor_type:
        raise UsageError(
            "--descriptor_type and --sequence_length are in conflict: sequences are searched in float32; leave one out"
        )
    low, high = args.sequence_velocity
    if low > high:
        raise UsageError(f"--sequence_velocity {low:g} {high:g}: the first number must not be greater than the second")
    if "sequence_velocity" in given and args.sequence_method != "seqmatch":
        raise UsageError("--sequence_velocity needs --sequence_method seqmatch")
    if args.sequence_method == "seqmatch" and args.index != "flat":
        raise UsageError(
            f"--sequence_method seqmatch and --index {args.index} are in conflict: seqmatch compares all sequences; "
            "use --index flat"
        )
    if args.test_method in ("nearest_crop", "maj_voting"):
        raise UsageError(
            f"--test_method {args.test_method} and --sequence_length are in conflict: this method votes on single "
            "images"
        )
    if args.rerank:
        raise UsageError(
            "--rerank and --sequence_length are in conflict: local features are matched between single images"
        )


def check_exported(args: argparse.Namespace) -> None:
    """Refuses what would change an exported network, or give it other images than those it was exported for."""
    exported = next(filter(is_exported, args.resume_model or ()), None)
    for flag in ("multi_scale", "test_method", "five_crops", "vocabulary", "adapt_batch_norm", "compile"):
        if exported and getattr(args, flag):
            raise UsageError(
                f"--{flag} and --resume_model {exported} are in conflict: an exported network takes images as they "
                "are; give the checkpoint from which it was exported"
            )


def check_network(args: argparse.Namespace, given: dict) -> None:
    """Checks where the network comes from, and fills in what its parts leave open."""
    for name in ("resume_model", "pretrained_model_file"):
        files = getattr(args, name)
        for file in [files] if isinstance(files, str) else files or []:
            if not Path(file).is_file():
                raise UsageError(f"--{name} {file}: there is no such file")
    if args.pretrained_model_file and not args.pretrained_model:
        raise UsageError("--pretrained_model_file needs --pretrained_model NAME, the name of the network in this file")
    source = next((name for name in ("resume_model", "pretrained_model") if getattr(args, name)), None)
    if source is None:
        _check_architecture(args, given)
    if source == "pretrained_model":
        args.pretrained_model = find_published(args.pretrained_model)
    published = PUBLISHED.get(args.pretrained_model) if source == "pretrained_model" else None
    for name in (*sorted(architecture_names()), "pretrained_model"):
        if name == "pretrained" and published is not None and published.vocabulary_only:
            _check_weights(args.pretrained)
        elif source not in (None, name) and name in given:
            what = "checkpoint" if source == "resume_model" else "name"
            raise UsageError(f"--{name} and --{source} are in conflict: the {what} defines the network")
    if published is not None and args.image_size is not None:
        blocks = (getattr(args, "num_trainable_blocks", None), getattr(args, "freeze", None))
        check_published(args.pretrained_model, args.image_size, *blocks)


def check_augmentation(args: argparse.Namespace, given: dict) -> None:
    """Checks the augmentations, and fills in all of their options."""
    if args.hue > 0.5:
        raise UsageError(f"--hue {args.hue}: must be at most 0.5, half of the colour circle")
    if args.random_resized_crop >= 1:
        raise UsageError(f"--random_resized_crop {args.random_resized_crop}: must be below 1")
    args.augmentation_options = check_augmentations(args.augmentations, args.augmentation_options)
    for name, flags in FLAGS.items():
        for flag in flags:
            if flag in given and name not in args.augmentations:
                raise UsageError(f"--{flag} is a setting of {name}, which is not in --augmentations; add it")


def _check_weights(pretrained: str) -> None:
    if pretrained not in ("imagenet", "none") and not Path(pretrained).is_file():
        raise UsageError(f"--pretrained {pretrained}: must be imagenet, none or an existing file")


def _check_architecture(args: argparse.Namespace, given: dict) -> None:
    """Checks the parts of the network, and fills in the defaults of the aggregation layer."""
    check_backbone_name(args.backbone)
    check_name("aggregation", args.aggregation, AGGREGATIONS)
    _check_weights(args.pretrained)
    args.aggregation_options = read_options(
        "aggregation", args.aggregation, AGGREGATIONS[args.aggregation], args.aggregation_options
    )
    own = own_dimension(args.aggregation)
    wanted = 0 if own and "fc_output_dim" not in given else args.fc_output_dim
    head = (wanted, args.aggregation, args.aggregation_options)
    frozen = (getattr(args, "num_trainable_blocks", None), getattr(args, "freeze", None))
    dimension = networks.check_network(args.backbone, *head, args.image_size, args.cut_after, *frozen)
    args.fc_output_dim = dimension if own else wanted
    check_prefixes(getattr(args, "matryoshka", ()), dimension)
    if getattr(args, "fc_init", "random") == "pca" and not (
        wanted and hasattr(AGGREGATIONS[args.aggregation], "pooling")
    ):
        if "fc_init" in given:
            raise UsageError(
                "--fc_init pca: needs a linear layer after pooling; use --fc_output_dim above 0 and --aggregation "
                "gem, avg, max, rmac, attention or cls"
            )
        args.fc_init = "random"
