from dataclasses import fields

import pytest

from augmentations import AUGMENTATIONS, FLAGS
from flags.augmentation import AugmentationSettings
from tests.flags.parsing import train


def test_help_augmentation_prints_and_ends(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        train("--help_augmentation", "augmix")
    assert end.value.code == 0 and "https://arxiv.org/abs/1912.02781" in capsys.readouterr().out


def test_the_augmentations_of_cosplace_have_flags_of_their_own():
    own = [flag for name in AUGMENTATIONS for flag in FLAGS.get(name, ())]
    assert {declared.name for declared in fields(AugmentationSettings)} == {
        "augmentations", "augmentation_options", *own,
    }  # fmt: skip
    assert FLAGS.keys() <= set(AUGMENTATIONS)
