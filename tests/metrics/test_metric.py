import math
from dataclasses import asdict

import pytest

from metrics.metric import Metric

RECALL, ERROR = Metric("R@1"), Metric("mean km", higher_is_better=False)


@pytest.mark.parametrize(
    ("metric", "value", "best", "better"),
    [
        (RECALL, 71.0, 70.0, True),
        (RECALL, 70.0, 71.0, False),
        (ERROR, 3.0, 4.0, True),
        (ERROR, 4.0, 3.0, False),
        (ERROR, -1.0, 0.0, True),
        (RECALL, 70.0, 70.0, False),
        (ERROR, 3.0, 3.0, False),
    ],
)
def test_better_is_strictly_higher_or_strictly_lower(metric: Metric, value: float, best: float, better: bool):
    assert metric.better(value, best) is better


@pytest.mark.parametrize("metric", [RECALL, ERROR])
def test_any_number_is_better_than_none_and_nan_never_is(metric: Metric):
    assert metric.better(0.0, None) and metric.better(-1e9, None) and metric.better(math.inf, None)
    assert not metric.better(math.nan, None)
    assert not metric.better(math.nan, 5.0)


def test_scores_rank_values_from_worst_to_best():
    assert (RECALL.score(70.0), ERROR.score(3.0)) == (70.0, -3.0)
    assert max([5.0, 2.0, 9.0], key=ERROR.score) == 2.0
    assert max([5.0, 2.0, 9.0], key=RECALL.score) == 9.0


def test_it_is_written_to_json_and_back():
    assert asdict(ERROR) == {"name": "mean km", "higher_is_better": False}
    assert Metric(**asdict(ERROR)) == ERROR
