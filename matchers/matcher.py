"""The interface of a matcher, and what adapters share."""

from abc import ABC, abstractmethod
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import NamedTuple

import numpy as np

from commons.errors import ArgumentError

Array = np.ndarray


class Keypoints(NamedTuple):
    """The local features of an image.

    Attributes:
        points: x and y in pixels, float32 (n, 2).
        descriptors: (n, d), in the type that takes least space on the disk.
        size: width and height of the image in pixels, int32 (2,).
    """

    points: Array
    descriptors: Array
    size: Array


class Matcher(ABC):
    """Finds keypoints of one image, and matches of the keypoints of two images.

    Attributes:
        features: says what `extract` depends on. Cached keypoints are used again only where it is the same.
        extracts_in_threads, matches_in_threads: whether images, and pairs, are worked on in several threads of one core
            each; False for networks on a GPU. On a CPU, small networks lose more time between the threads of one image
            than they gain.
        package: name of an optional package that it needs, as it is imported; "" if there is none.
        install: the command that installs it.
    """

    package: str = ""
    install: str = ""
    features: str
    extracts_in_threads: bool = True
    matches_in_threads: bool = True

    @abstractmethod
    def extract(self, image: Array) -> Keypoints:
        """Returns the keypoints of an RGB image, uint8 (h, w, 3), at least 16 pixels high and wide."""

    @abstractmethod
    def match(self, first: Keypoints, second: Keypoints) -> Array:
        """Returns the rows of matching keypoints, int (m, 2). Both images have keypoints."""


def no_keypoints(width: int = 0, height: int = 0) -> Keypoints:
    """Returns what an image has in which nothing is found."""
    return Keypoints(np.zeros((0, 2), np.float32), np.zeros((0, 1), np.uint8), np.array([width, height], np.int32))


def check_installed(name: str, matcher: type[Matcher]) -> None:
    """Raises ArgumentError if the package of a matcher is not installed."""
    if matcher.package and find_spec(matcher.package) is None:
        raise ArgumentError("rerank", f"{name} needs the package {matcher.package}: {matcher.install}")


def needed(module: str, name: str, command: str) -> ModuleType:
    """Imports a module that a matcher needs.

    Raises:
        ArgumentError: if it is not installed, with the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ArgumentError("rerank", f"{name} needs a package that is not installed ({error}): {command}") from error
