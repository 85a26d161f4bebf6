import os
from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from flags import values


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (values.pairs, "a=1", {"a": "1"}),
        (values.pairs, "a=1, b = 0.9:0.95", {"a": "1", "b": "0.9:0.95"}),
        (values.pairs, "fog.p=1", {"fog.p": "1"}),
        (values.names, "fog", ["fog"]),
        (values.names, "fog, rain,snow", ["fog", "rain", "snow"]),
        (values.names, "none", []),
        (values.picture, "a.JPG", "a.JPG"),
        (values.picture, "a.png", "a.png"),
        (values.scales, "0.7,1,1.4", [0.7, 1.0, 1.4]),
        (values.scales, "10", [10.0]),
        (values.share, "0", 0.0),
        (values.share, "1", 1.0),
        (values.positive, "1", 1),
        (values.natural, "0", 0),
        (values.seed, "4294967295", 2**32 - 1),
        (values.natural_float, "0", 0.0),
        (values.positive_float, "1e-5", 1e-5),
    ],
)
def test_values(parse: Callable[[str], object], text: str, value: object):
    read = parse(text)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (values.pairs, "a", "key=value,key=value"),
        (values.pairs, "a=", "key=value,key=value"),
        (values.pairs, "=1", "key=value,key=value"),
        (values.pairs, "a=1,", "key=value,key=value"),
        (values.names, "layer1,", "name,name"),
        (values.names, "", "name,name"),
        (values.picture, "sheet.gif", "sheet.gif must end in .jpg or .png"),
        (values.scales, "0", "above 0"),
        (values.scales, "1", "not 1 alone"),
        (values.scales, "0.7,1,0.70", "different scales"),
        (values.scales, "224,448", "factors of the image size"),
        (values.share, "1.5", "at most 1"),
        (values.share, "-0.1", "0 or more"),
        (values.positive, "0", "1 or more"),
        (values.positive, "1.5", "'1.5' is not a whole number"),
        (values.natural, "-1", "0 or more"),
        (values.natural, "ten", "'ten' is not a whole number"),
        (values.seed, "4294967296", "below 2.32"),
        (values.natural_float, "nan", "out of range"),
        (values.natural_float, "inf", "out of range"),
        (values.natural_float, "fast", "'fast' is not a number"),
        (values.positive_float, "0", "above 0"),
    ],
)
def test_mistakes_in_values(parse: Callable[[str], object], text: str, words: str):
    with pytest.raises(ArgumentTypeError, match=words):
        parse(text)


@pytest.mark.parametrize(
    ("cores", "processes", "workers"),
    [(4, None, 4), (64, None, 8), (64, "4", 8), (16, "4", 4), (2, "4", 1), (None, None, 1)],
)
def test_cores_are_shared_between_processes(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, processes: str | None, workers: int
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if processes:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert values.cores() == workers


def test_descriptor_formats():
    """Files of earlier versions say true or false."""
    read = values.descriptor_format
    assert [read(text) for text in ("npy", "HLOC", "True", "False")] == ["npy", "hloc", "npy", None]
    with pytest.raises(ArgumentTypeError, match="csv must be npy or hloc"):
        read("csv")
