"""Re-ranking with a cache of keypoints, and pair by pair without it: python -m benchmarks.reranking

Both ways match each query with its first 10 predictions and count the inliers of a fundamental matrix. Pair by pair, as
scripts do it, both images are read and their keypoints extracted for each pair. With the cache, each image is processed
once, in a new folder in each run, and images and pairs are shared among the cores. Networks compute in one core for
each image in both ways. Predictions are the images nearest to the query by position: matching takes the same time
whatever ranks them. Counts must be equal.

Prints seconds per query, median of three runs in turn, and their ratio.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import alternate, machine, print_table
from commons.files import CACHE
from datasets.distances import nearest_in_space
from datasets.layouts import test_folders
from datasets.test_dataset import TestSet, read_test_set
from demo.write import demo_or_folder
from matchers import MATCHERS
from matchers.features import KeypointCache
from matchers.matcher import Matcher
from matchers.verification import verified
from tasks.measuring import Evaluation
from tasks.reranking import Reranker, read_pixels

TOP, SIDE = 10, 640


def predicted(test_set: TestSet, queries: int) -> Evaluation:
    """Returns the nearest images of the first queries as if a network had found them."""
    places = test_set.queries.take(np.arange(min(queries, len(test_set.queries))))
    _, rows = nearest_in_space(places, test_set.database, TOP)
    similarities = np.tile(np.linspace(0.9, 0.5, TOP, dtype=np.float32), (len(places), 1))
    return Evaluation({}, test_set.database, places, rows, similarities, None, 25.0, 0.0)


def pair_by_pair(evaluation: Evaluation, matcher: Matcher, found: dict[str, np.ndarray]) -> None:
    """Counts the inliers of all pairs, in descending order for each query."""

    def inliers(query: int, row: int) -> int:
        images = (read_pixels(own, SIDE) for own in (evaluation.queries.path(query), evaluation.database.path(row)))
        return len(verified(matcher, *map(matcher.extract, images))[0])

    counts = [[inliers(query, row) for row in rows] for query, rows in enumerate(evaluation.predictions)]
    found["pair by pair"] = -np.sort(-np.array(counts), axis=1)


def with_cache(evaluation: Evaluation, matcher: Matcher, found: dict[str, np.ndarray], name: str) -> None:
    """Counts the same, from an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        cache = KeypointCache(matcher, Path(folder), partial(read_pixels, most=SIDE))
        found["cache"] = Reranker(name, TOP, cache).take(evaluation)[0].evaluation.inliers


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_folder", default="demo", help="has test/; the demo city by default")
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--matchers", default="sift,orb")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    test_set = read_test_set(test_folders(Path(demo_or_folder(args.dataset_folder, CACHE)) / "test"))
    evaluation = predicted(test_set, args.queries)
    count = len(evaluation.queries)
    print(f"{machine()}; {test_set.name}, {count} queries, first {TOP}, 1,024 keypoints\n")
    rows = []
    for name in args.matchers.split(","):
        matcher = MATCHERS[name]("cpu")
        found: dict[str, np.ndarray] = {}
        ways = {
            "pair by pair": partial(pair_by_pair, evaluation, matcher, found),
            "cache": partial(with_cache, evaluation, matcher, found, name),
        }
        taken = alternate(ways, args.runs, warm_up=0)
        assert np.array_equal(found["pair by pair"], found["cache"])
        plain, cached = (taken[way] / count for way in ways)
        rows.append([name, plain, cached, plain / cached])
    print_table(["matcher", "pair by pair, s per query", "with cache, s per query", "times as fast"], rows)


if __name__ == "__main__":
    main()
