import sys
from types import ModuleType

import pytest

from flags.evaluation import EvalEvaluation, EvaluationSettings
from tests.flags.parsing import evaluation, refused, train


def test_what_is_done_at_test_time():
    args = evaluation()
    assert (args.multi_scale, args.five_crops, args.pca_dim, args.whiten) == ([], 0, 0, "none")
    assert (args.database_augmentation, args.query_expansion, args.expansion_alpha) == (0, 0, 3)
    args = evaluation("--multi_scale", "0.7,1,1.4", "--five_crops")
    assert (args.multi_scale, args.five_crops) == ([0.7, 1, 1.4], 1)
    args = evaluation("--five_crops", "0.8", "--pca_dim", "64", "--whiten", "half", "--query_expansion", "3")
    assert (args.five_crops, args.pca_dim, args.whiten, args.query_expansion) == (0.8, 64, "half", 3)


def test_methods_of_deep_vg():
    assert (evaluation().test_method, evaluation().vocabulary) == (None, None)
    args = evaluation("--test_method", "maj_voting", "--five_crops", "0.8")
    assert (args.test_method, args.five_crops) == ("maj_voting", 0.8)


def test_the_checkpoint_decides_how_test_images_are_resized():
    assert (EvaluationSettings().resize_test_imgs, EvalEvaluation().resize_test_imgs) == (False, None)
    assert (evaluation().image_size, evaluation().resize_test_imgs) == (None, None)
    assert evaluation("--no-resize_test_imgs").resize_test_imgs is False
    assert train("--resize_test_imgs").resize_test_imgs is True


def test_several_thresholds_and_one():
    assert evaluation().positive_dist_threshold == evaluation("--positive_dist_threshold", "25").positive_dist_threshold
    assert evaluation("--positive_dist_threshold", "10", "25").positive_dist_threshold == [10, 25]
    assert train("--positive_dist_threshold", "10").positive_dist_threshold == 10
    assert evaluation("--recall_values", "1", "3").recall_values == [1, 3]


def test_descriptors_have_a_format(monkeypatch: pytest.MonkeyPatch):
    assert evaluation().save_descriptors is None
    assert evaluation("--save_descriptors").save_descriptors == "npy"
    monkeypatch.setitem(sys.modules, "h5py", ModuleType("h5py"))
    assert evaluation("--save_descriptors", "hloc").save_descriptors == "hloc"
    monkeypatch.setitem(sys.modules, "h5py", None)
    with refused("^--save_descriptors: hloc needs the package h5py: pip install h5py$"):
        evaluation("--save_descriptors", "hloc")


def test_types_of_descriptors():
    assert evaluation().descriptor_type is None and evaluation("--descriptor_type", "int8").descriptor_type == "int8"
    with refused("--descriptor_type float32 and --index binary are in conflict"):
        evaluation("--descriptor_type", "float32", "--index", "binary")
    with refused("--descriptor_type and --index milvus are in conflict"):
        evaluation("--descriptor_type", "int8", "--index", "milvus", "--index_options", "collection=a")
    with refused("--descriptor_type and --sequence_length are in conflict: sequences are searched in float32"):
        evaluation("--descriptor_type", "int8", "--sequence_length", "3")
