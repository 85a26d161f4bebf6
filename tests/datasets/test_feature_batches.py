"""Batches of cached features."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from datasets.feature_batches import FeatureBatches
from datasets.places import Places
from datasets.samplers import Draw
from datasets.unlabelled import ImageSampler


def images(count: int) -> Places:
    names = pa.array([f"{row}.jpg" for row in range(count)])
    return Places(Path("photos"), names, None, None, np.full(count, np.nan), pa.array([""] * count))


def test_batches_are_those_of_the_sampler_and_the_shift_picks_the_view():
    features = np.arange(24, dtype=np.float16).reshape(2, 4, 3)
    draws = [[Draw(3, 3, 0.49), Draw(0, 7, 0.5)]]
    ((found, labels, failures),) = FeatureBatches(features, draws, images(4))
    assert found.dtype == torch.float32 and found.tolist() == [[9, 10, 11], [12, 13, 14]]
    assert labels.tolist() == [3, 7] and failures == []


def test_an_image_that_could_not_be_decoded_is_replaced_by_another_of_the_batch_with_its_label():
    features = np.zeros((1, 3, 2), np.float16)
    features[0, 1] = np.nan
    draws = [[Draw(1, 1, 0.0), Draw(2, 2, 0.0), Draw(0, 0, 0.0)], [Draw(1, 1, 0.0)]]
    (found, labels, failures), (none, _, again) = FeatureBatches(features, draws, images(3))
    assert found.isfinite().all() and labels.tolist() == [2, 0, 2]
    assert len(none) == 0 and failures == again == [("photos/1.jpg", "when its features were extracted")]


def test_an_epoch_shows_every_image_once():
    sampler = ImageSampler(8, 4, 2, seed=0)
    batches = FeatureBatches(np.zeros((1, 8, 2), np.float16), sampler, images(8))
    assert len(batches) == 2
    assert sorted(torch.cat([labels for _, labels, _ in batches]).tolist()) == list(range(8))
