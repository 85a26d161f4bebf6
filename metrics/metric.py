"""The figure that tells which of two networks is better."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """The figure that picks the best epoch.

    Attributes:
        name: its name among the results of a test set, such as "R@1" or "mean km".
        higher_is_better: False for errors and distances.
    """

    name: str
    higher_is_better: bool = True

    def better(self, value: float, best: float | None) -> bool:
        """Returns whether `value` is strictly better than `best`.

        Args:
            value: value of the metric. NaN is never better.
            best: the best value so far; None if there is none yet.
        """
        if math.isnan(value):
            return False
        return best is None or self.score(value) > self.score(best)

    def score(self, value: float) -> float:
        """Returns a number that is higher for better values: `value`, negated where lower is better."""
        return value if self.higher_is_better else -value
