import re

import pytest

from augmentations import AUGMENTATIONS, FLAGS
from augmentations.options import check_augmentations, describe_augmentation
from commons.errors import UsageError, in_flags
from commons.options import options_of


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_describes_itself(name: str):
    text = describe_augmentation(name)
    assert text.startswith(f"{name}: ")
    for key, option in options_of(AUGMENTATIONS[name]).items():
        assert option.kind is type(option.default) and len(option.meaning) > 10
        assert f"  {key}={option.default} " in text
    assert ("It is set by --" in text) == (name in FLAGS)
    assert (f"--augmentation_options {name}.key=value" in text) == (name not in FLAGS)


def test_all_options_of_what_is_named():
    assert check_augmentations(["color_jitter", "blur"], {"blur.p": "1"}) == {"blur": {"sigma": 2.0, "p": 1.0}}
    assert check_augmentations([], {}) == {}


@pytest.mark.parametrize(
    ("names", "given", "words"),
    [
        (["blur"], {"sigma": "1"}, "sigma: write NAME.OPTION=VALUE"),
        (["blur"], {"blr.sigma": "1"}, r"--augmentation_options: blr is unknown \(did you mean blur\?\)"),
        (["blur"], {"blur.sigm": "1"}, r"blur has no option blur.sigm \(did you mean sigma\?\); its options are sigma"),
        (["blur"], {"blur.sigma": "big"}, "--augmentation_options: blur.sigma=big is not a number"),
        (["blur"], {"blur.p": "2"}, "p=2: must be between 0 and 1"),
        (["blur"], {"fog.p": "1"}, "fog is not in --augmentations blur; add it"),
        ([], {"fog.p": "1"}, "fog is not in --augmentations none"),
    ],
)
def test_mistakes_name_the_option(names: list[str], given: dict[str, str], words: str):
    with pytest.raises(UsageError) as error:
        check_augmentations(names, given)
    assert re.search(words, in_flags(str(error.value)))
