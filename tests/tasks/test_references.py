"""Labels of positions from the nearest photo that has them."""

import numpy as np

from tasks.references import from_text, make_references, predicted_labels, to_text


def test_the_nearest_photo_gives_the_labels_also_across_the_antimeridian():
    latitude, longitude = np.array([0.0, 0.001, 0.0, np.nan]), np.array([179.9, 179.9, 20.0, 1.0])
    labels = {"country": np.array(["Fiji", "Fiji", "Gabon", "Chad"], object), "user": np.array(["a"] * 4, object)}
    references = make_references(latitude, longitude, labels)
    assert references.num_rows == 2 and references.column_names == ["latitude", "longitude", "country"]
    assert references.equals(from_text(to_text(references)))
    found = predicted_labels(references, np.array([0.0, 1.0, np.nan]), np.array([-179.0, 30.0, 0.0]))
    assert found["country"].tolist() == ["Fiji", "Gabon", ""]


def test_without_labels_or_positions_there_are_none():
    assert make_references(np.array([1.0]), np.array([2.0]), {}) is None
    assert make_references(np.array([np.nan]), np.array([2.0]), {"country": np.array(["x"], object)}) is None
