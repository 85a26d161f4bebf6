"""Parsing for tests: flat values, and error messages as a user sees them."""

import re
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from commons.errors import UsageError, in_flags
from flags.settings import flat
from parser import parse_eval_settings, parse_train_settings


def values_of(settings: Any) -> Namespace:
    """The values of all sections by flag name."""
    return Namespace(**flat(settings))


def train(*flags: str) -> Namespace:
    """The values of train.py with these flags."""
    return values_of(parse_train_settings(["--dataset_folder", "x", *flags]))


def evaluation(*flags: str) -> Namespace:
    """The values of eval.py with these flags."""
    return values_of(parse_eval_settings(["--dataset_folder", "x", *flags]))


@contextmanager
def refused(words: str) -> Iterator[None]:
    """Expects a UsageError whose line, as a program prints it, matches a regular expression."""
    with pytest.raises(UsageError) as caught:
        yield
    line = in_flags(str(caught.value))
    assert re.search(words, line), line
    assert "\n" not in line and "`" not in line.replace("`flag: value`", "")


def write(file: Path, text: str) -> str:
    """Writes a file and returns its name."""
    file.write_text(text, encoding="utf-8")
    return str(file)
