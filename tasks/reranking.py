"""Re-ranking: the first predictions of each query in the order of their matching local features."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from commons.threads import in_threads
from datasets.decoding import read_image, resize_shorter_side
from matchers import MATCHERS
from matchers.features import KeypointCache
from matchers.verification import verified
from reports.tables import INSTEAD
from retrieval.index import tie_groups
from tasks.gate import Gate, first_right, fit_gate, gate_scores, read_gate
from tasks.measuring import Evaluation, with_figures

UNKNOWN = -1  # inliers of a pair that was not looked at
KEYPOINTS = "keypoints"
POINTS = 101  # of a curve
Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Reranked:
    """An evaluation after re-ranking, and what it took.

    Attributes:
        name: name of the step.
        evaluation: evaluation with the first predictions in their new order.
        ceiling: R@K in percent, above which re-ranking of the first K cannot raise R@1; None without labels.
        extracting, matching: seconds for the keypoints of images that were not cached, and for all pairs; None where
            both are counted in another step.
        record: entries of results.json.
    """

    name: str
    evaluation: Evaluation
    ceiling: float | None
    extracting: float | None
    matching: float | None
    record: dict[str, Any]


class Reranker:
    """Orders the first predictions of each query by the number of their geometric inliers.

    Predictions with equally many inliers keep the order of their descriptors. Predictions after the first `top` stay
    where they are, so R@N for N >= `top` does not change.

    Attributes:
        name: name of the matcher.
        top: how many predictions are re-ranked.
        when: "always"; "auto" fits a gate to the first evaluation, which must be of the validation set.
        gate: picks the queries that are re-ranked; None for all of them.
        cache: keypoints by path.
    """

    def __init__(self, name: str, top: int, cache: KeypointCache, when: str = "always", gate: Gate | None = None):
        self.name, self.top, self.cache, self.when, self.gate = name, top, cache, when, gate
        self.threads = min(8, os.cpu_count() or 1)

    def take(self, evaluation: Evaluation) -> list[Reranked]:
        """Re-ranks the predictions of a test set.

        Returns:
            One step; two where the gate is fitted: all queries, and instead of it those that the gate picks.
        """
        top = min(self.top, evaluation.predictions.shape[1])
        if self.gate is None:
            inliers, seconds = self._count(evaluation, range(top))
            everything = self._reranked(evaluation, inliers, *seconds)
            if self.when == "always":
                return [everything]
            self.gate = fit_gate(evaluation, inliers, everything.evaluation, self.name)
            skipped = self.gate.skips(gate_scores(self.gate, evaluation, inliers[:, 0]))
            chosen = np.where(skipped[:, None] & (np.arange(inliers.shape[1]) > 0), UNKNOWN, inliers)
            curve = skipping_curve(evaluation, inliers, self.gate)
            adaptive = self._reranked(evaluation, chosen, None, None, skipped, curve)
            instead = INSTEAD + adaptive.name.removeprefix("+ ")
            return [replace(everything, name=f"{everything.name}, all queries"), replace(adaptive, name=instead)]
        first, (extracting, matching) = self._count(evaluation, range(1))
        skipped = self.gate.skips(gate_scores(self.gate, evaluation, first[:, 0]))
        others, seconds = self._count(evaluation, range(1, top), ~skipped)
        inliers = np.concatenate([first, others], axis=1)
        return [self._reranked(evaluation, inliers, extracting + seconds[0], matching + seconds[1], skipped)]

    def inliers(self, query: Path, image: Path) -> tuple[np.ndarray, np.ndarray]:
        """Returns the inliers of a pair as points (x, y) in shares of width and height, float (n, 2) each."""
        images = self.cache.load(query), self.cache.load(image)
        points = verified(self.cache.matcher, *images)
        return tuple(own / np.maximum(image.size, 1) for own, image in zip(points, images, strict=True))

    def _count(
        self, evaluation: Evaluation, ranks: range, chosen: np.ndarray | None = None
    ) -> tuple[np.ndarray, tuple[float, float]]:
        """Counts the inliers of predictions, int32 (q, ranks), UNKNOWN for queries that are not chosen."""
        queries = np.arange(len(evaluation.queries)) if chosen is None else np.flatnonzero(chosen)
        inliers = np.full((len(evaluation.queries), len(ranks)), UNKNOWN, np.int32)
        started = time.monotonic()
        matcher = self.cache.matcher
        with one_core_each(matcher.extracts_in_threads):
            self._extract(evaluation, queries, ranks)
        extracted = time.monotonic()
        with one_core_each(matcher.matches_in_threads):
            work = partial(self._count_query, evaluation, ranks=ranks)
            found = in_threads(work, queries, self.threads if matcher.matches_in_threads else 0)
            for query, counts in zip(queries, tqdm(found, "Matching", len(queries), False, unit="query"), strict=True):
                inliers[query] = counts
        return inliers, (extracted - started, time.monotonic() - extracted)

    def _extract(self, evaluation: Evaluation, queries: np.ndarray, ranks: range) -> None:
        before = self.cache.extracted
        rows = np.unique(evaluation.predictions[queries][:, ranks])
        paths = [evaluation.queries.path(row) for row in queries] + [evaluation.database.path(row) for row in rows]
        for _ in tqdm(self.cache.fill(paths, self.threads), "Keypoints", len(paths), False, unit="img"):
            pass
        logging.debug(f"Keypoints of {len(paths)} images, {self.cache.extracted - before} of them not cached before")

    def _count_query(self, evaluation: Evaluation, query: int, ranks: range) -> list[int]:
        own = self.cache.load(evaluation.queries.path(query))
        rows = evaluation.predictions[query, ranks]
        others = (self.cache.load(evaluation.database.path(row)) for row in rows)
        return [len(verified(self.cache.matcher, own, other)[0]) for other in others]

    def _reranked(
        self,
        evaluation: Evaluation,
        inliers: np.ndarray,
        extracting: float | None,
        matching: float | None,
        skipped: np.ndarray | None = None,
        curve: Curve | None = None,
    ) -> Reranked:
        top = inliers.shape[1]
        name = f"+ re-ranking of the first {top} by {self.name}"
        record: dict[str, Any] = {"matcher": self.name, "top": top}
        if skipped is not None:
            name += f", {100 * skipped.mean():.0f} % skipped"
            record |= {"skipped_queries": int(skipped.sum()), "skipped_share": 100 * float(skipped.mean())}
            record["curve"] = curve or skipping_curve(evaluation, inliers, self.gate)
        found = replace(reordered(evaluation, inliers), verify=self.inliers)
        ceiling = None
        if evaluation.correct is not None:
            ceiling = 100 * float(evaluation.correct[:, :top].any(axis=1).mean())
        return Reranked(name, found, ceiling, extracting, matching, record)


@contextmanager
def one_core_each(wanted: bool) -> Iterator[None]:
    """While this is open, BLAS and PyTorch compute in one core for each of our threads, if that is wanted."""
    before = torch.get_num_threads()
    with threadpool_limits(1 if wanted else None):
        try:
            if wanted:
                torch.set_num_threads(1)
            yield
        finally:
            torch.set_num_threads(before)


def make_reranker(settings: Any, device: torch.device) -> Reranker:
    """Builds the re-ranker of `reranking` of eval.py.

    Args:
        settings: the section of the settings.
        device: device of the matcher's network, if it is one.

    Raises:
        ArgumentError: if a package of the matcher is missing.
        PlacewiseError: if --rerank_when names a file that is no gate of this matcher.
    """
    matcher = MATCHERS[settings.rerank](device, **settings.rerank_options)
    side = settings.rerank_image_size
    folder, read = Path(settings.keypoints_folder or KEYPOINTS), partial(read_pixels, most=side)
    cache = KeypointCache(matcher, folder, read, f"shorter side at most {side}")
    gate = None
    if settings.rerank_when not in ("always", "auto"):
        gate = read_gate(Path(settings.rerank_when), settings.rerank)
    return Reranker(settings.rerank, settings.rerank_top, cache, settings.rerank_when, gate)


def read_pixels(path: Path, most: int) -> np.ndarray:
    """Reads an image, uint8 (h, w, 3), whose shorter side is reduced to `most` pixels where it is longer.

    Raises:
        OSError: if the file is missing or cannot be decoded.
    """
    image = read_image(path)
    if min(image.shape[1:]) > most:
        image = resize_shorter_side(image, most)
    return image.permute(1, 2, 0).numpy()


def reordered(evaluation: Evaluation, inliers: np.ndarray) -> Evaluation:
    """Returns an evaluation whose first K predictions are in descending order of inliers, with its recalls.

    Args:
        evaluation: predictions in the order of their descriptors.
        inliers: (q, K); queries of which only the first prediction's are known keep their order.
    """
    top = inliers.shape[1]
    known = (inliers != UNKNOWN).all(axis=1)
    order = np.argsort(-inliers, axis=1, kind="stable")
    order[~known] = np.arange(top)

    def moved(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.take_along_axis(values[:, :top], order, 1), values[:, top:]], axis=1)

    counts = np.take_along_axis(inliers, order, 1)
    found = replace(
        evaluation,
        predictions=moved(evaluation.predictions),
        similarities=moved(evaluation.similarities),
        distances=None if evaluation.distances is None else moved(evaluation.distances),
        results=dict(evaluation.results),
        inliers=counts,
    )
    if evaluation.correct is None:
        return found
    groups = moved(tie_groups(evaluation.similarities))
    # Equal to the first one are predictions of equal similarity and equally many inliers.
    same = groups == groups[:, :1]
    same[:, :top] &= counts == counts[:, :1]
    return with_figures(found, np.where(same, 0, 1))


def skipping_curve(evaluation: Evaluation, inliers: np.ndarray, gate: Gate) -> Curve | None:
    """Returns R@1 in percent by the percentage of queries that are skipped, at most POINTS pairs.

    The least confident queries are re-ranked first. The curve begins at 100 % and ends at the queries that were
    re-ranked. None without labels.
    """
    if evaluation.correct is None or not len(evaluation.queries):
        return None
    before, after = first_right(evaluation), first_right(reordered(evaluation, inliers))
    order = np.argsort(gate_scores(gate, evaluation, inliers[:, 0]), kind="stable")
    known, total = int((inliers != UNKNOWN).all(axis=1).sum()), len(before)
    gained = np.concatenate([[0], np.cumsum((after.astype(int) - before)[order])])
    counts = np.unique(np.linspace(0, known, POINTS).round().astype(int))
    return [(100 - 100 * count / total, 100 * float(before.sum() + gained[count]) / total) for count in counts.tolist()]
