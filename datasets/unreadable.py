"""Images of a set that cannot be decoded: counted, and an error if there are many."""

import logging
from collections.abc import Sequence

from commons.errors import PlacewiseError

TOLERATED_SHARE = 0.01


class UnreadableImages:
    """Counts images that could not be decoded: one warning for each file, and an error above 1 % of the set.

    One file is always allowed. Several processes count their own.

    Attributes:
        total: images in the set.
        paths: paths of those that could not be decoded.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.paths: set[str] = set()

    def __len__(self) -> int:
        return len(self.paths)

    def add_batch(self, failures: Sequence[tuple[str, str]], decoded: int) -> None:
        """Notes the (path, reason) of a batch's failures.

        Raises:
            PlacewiseError: as `add`, or if none of the batch could be decoded.
        """
        for path, reason in failures:
            self.add(path, reason)
        if not decoded:
            raise PlacewiseError(f"no image of a batch can be decoded, the last one is {failures[-1][0]}")

    def add(self, path: str, reason: str) -> None:
        """Notes one failure.

        Raises:
            PlacewiseError: if more than one image and more than 1 % of the images have failed.
        """
        if path in self.paths:
            return
        self.paths.add(path)
        logging.warning(f"skipped {path}: cannot be decoded ({reason})")
        if len(self) > max(1, TOLERATED_SHARE * self.total):
            raise PlacewiseError(
                f"{len(self)} of {self.total} images cannot be decoded, more than {TOLERATED_SHARE:.0%}: the data is "
                f"damaged, download it again or remove the files (last: {path}: {reason})"
            )
