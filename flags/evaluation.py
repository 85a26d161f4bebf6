"""Settings: evaluation, and what is done at test time."""

from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

from flags import values
from flags.settings import setting
from metrics import RECALL_VALUES
from retrieval import DESCRIPTOR_TYPES, INDICES, WHITENING


@dataclass(frozen=True)
class MeasuringSettings:
    """Evaluation"""

    resize_test_imgs: bool | None = setting(
        False, "resize the shorter side of validation and test images to --image_size, keeping the aspect ratio"
    )
    infer_batch_size: int = setting(
        16, "images per batch in the evaluation", values.positive, on_resume=True, changes_result=False
    )
    positive_dist_threshold: float = setting(
        25.0, "distance in metres within which a prediction is correct", values.positive_float
    )


@dataclass(frozen=True)
class EvaluationSettings(MeasuringSettings):
    """Evaluation"""

    index: str = setting(
        "flat",
        "flat searches exactly; the others search approximately, for millions of images: hnsw is fast; ivfpq keeps "
        "the descriptors on disk and 72 bytes per image in memory, binary and pq one bit per dimension; ivf_fp16 and "
        "ivf_sq8 keep the index on disk; milvus uses a server; stored uses the index of a database of "
        "tools.build_database (docs/databases.md)",
        choices=tuple(INDICES),
        explain=lambda name: import_module("retrieval.engine").index_help(name),
        on_resume=True,
    )
    index_options: dict[str, str] = setting(
        {},
        "options of the index, such as uri=http://127.0.0.1:19530,collection=city for milvus",
        values.pairs,
        metavar="KEY=VALUE,...",
        follows=("index",),
        on_resume=True,
    )

    @property
    def engine(self) -> object:
        """The index with its options."""
        return import_module("retrieval.engine").Engine(self.index, self.index_options)

    num_preds_to_save: int = setting(
        0,
        "for each query, save a picture of its first N predictions, and a page to browse the pictures",
        values.natural,
        metavar="N",
        on_resume=True,
        changes_result=False,
    )
    save_only_wrong_preds: bool = setting(
        False,
        "save pictures only of queries whose first prediction is wrong",
        on_resume=True,
        changes_result=False,
    )


@dataclass(frozen=True)
class EvalEvaluation(EvaluationSettings):
    """Evaluation"""

    resize_test_imgs: bool | None = setting(
        None,
        "resize the shorter side of test images to --image_size, keeping the aspect ratio; by default, as in training",
    )
    image_size: int | list[int] | None = setting(
        None,
        "resize the shorter side of test images to N pixels; with two numbers, resize images to this height and width; "
        "by default, as in training",
        values.positive,
        nargs="+",
        metavar="N",
    )
    positive_dist_threshold: float | list[float] = setting(
        25.0,
        "distance in metres within which a prediction is correct; with several distances, recalls are reported for "
        "each. A distance in the files of a test set replaces the default",
        values.positive_float,
        nargs="+",
        metavar="X",
    )
    recall_values: list[int] = setting(
        list(RECALL_VALUES),
        "values of N for recall@N; 1 is always included",
        values.positive,
        nargs="+",
        metavar="N",
        changes_result=False,
    )
    save_descriptors: str | None = setting(
        None,
        "save the descriptors: npy (the default), .npy in float32 and the image paths; hloc, one HDF5 file",
        values.descriptor_format,
        nargs="?",
        const="npy",
        metavar="FORMAT",
        changes_result=False,
    )
    export_predictions: list[str] = setting(
        [],
        "also write the first 20 predictions (or --num_preds_to_save) for other programs: hloc, a file of pairs; msls, "
        "the CSV file of its evaluation",
        choices=("hloc", "msls"),
        nargs="+",
        changes_result=False,
    )
    vocabulary: str | None = setting(
        None,
        "vocabulary of the aggregation layer vlad, a tensor in .pt or .npy; by default, that of the checkpoint, or one "
        "fitted to the database of each test set",
        metavar="FILE",
    )
    adapt_batch_norm: str | None = setting(
        None,
        "recompute the statistics of batch normalization on the images of this folder; with the test queries, the "
        "result is transductive",
        metavar="DIR",
    )


@dataclass(frozen=True)
class SequenceSettings:
    """Sequences"""

    tasks: ClassVar[tuple[str, ...]] = ("place_recognition",)

    sequence_length: int = setting(
        1, "search sequences of N consecutive frames instead of single images (docs/sequences.md)", values.positive
    )
    sequence_mode: str = setting(
        "seq2seq",
        "seq2seq searches sequences in a database of sequences, im2seq single images in a database of sequences, "
        "seq2im sequences in a database of single images",
        choices=("im2seq", "seq2im", "seq2seq"),
    )
    sequence_method: str = setting(
        "mean",
        "mean compares the mean descriptors of two sequences; seqmatch compares frame by frame, along the best "
        "straight line",
        choices=("mean", "seqmatch"),
    )
    sequence_velocity: list[float] = setting(
        [0.8, 1.2],
        "lowest and highest slope of the lines of seqmatch, in database frames per query frame",
        values.positive_float,
        nargs=2,
        metavar="V",
    )


@dataclass(frozen=True)
class TestTimeSettings:
    """Test time"""

    tasks: ClassVar[tuple[str, ...]] = ("place_recognition",)

    __test__ = False

    multi_scale: list[float] = setting(
        [],
        "average the descriptors of each image at these scales, e.g. 0.7,1,1.4; the plain descriptors are evaluated, "
        "too",
        values.scales,
        metavar="SCALE,...",
    )
    test_method: str | None = setting(
        None,
        "crops of the queries, whose aspect ratio is kept: central_crop takes the centre in the shape of the database "
        "images; the others take five square crops, at the corners and the centre: five_crops averages their "
        "descriptors, nearest_crop uses the predictions of the nearest crop, maj_voting lets the crops vote. The "
        "plain descriptors are evaluated, too",
        choices=("central_crop", "five_crops", "nearest_crop", "maj_voting"),
    )
    five_crops: float = setting(
        0.0,
        "side of the five crops, as a share of the shorter side of the image (1 if left out); without --test_method, "
        "implies five_crops",
        values.share,
        nargs="?",
        const=1.0,
        metavar="SHARE",
    )
    pca_dim: int = setting(0, "reduce descriptors to D dimensions with a PCA", values.natural, metavar="D")
    whiten: str = setting(
        "none",
        "divide each component of the PCA by its standard deviation (full), by the square root of it (half), or not at "
        "all (none)",
        choices=tuple(WHITENING),
    )
    pca_images: str | None = setting(
        None, "fit the PCA to these images instead of the database of each test set", metavar="DIR"
    )
    pca_file: str | None = setting(None, "use the PCA of another run (pca.pth in its folder)", metavar="FILE")
    descriptor_type: str | None = setting(
        None,
        "type in which the descriptors of the database are stored: int8 is one byte per dimension, binary one bit; by "
        "default, float32 for --index flat and float16 for the others (docs/compact.md)",
        choices=DESCRIPTOR_TYPES,
    )
    database_augmentation: int = setting(
        0, "add to each database descriptor its K nearest database descriptors", values.natural, metavar="K"
    )
    query_expansion: int = setting(
        0, "add to each query its K nearest database descriptors, and search again", values.natural, metavar="K"
    )
    expansion_alpha: float = setting(
        3.0,
        "neighbours are weighted by their cosine similarity to the power of ALPHA; 0 for a plain mean",
        values.natural_float,
        metavar="ALPHA",
    )
