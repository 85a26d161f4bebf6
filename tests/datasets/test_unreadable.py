import pytest

from commons.errors import PlacewiseError
from datasets.unreadable import UnreadableImages


def test_one_percent_is_tolerated_and_each_file_counts_once():
    unreadable = UnreadableImages(200)
    for _ in range(3):
        unreadable.add("a.jpg", "torn")
    unreadable.add("b.jpg", "torn")
    with pytest.raises(PlacewiseError, match="3 of 200.*c.jpg"):
        unreadable.add("c.jpg", "torn")


def test_one_damaged_file_is_always_tolerated():
    unreadable = UnreadableImages(6)
    unreadable.add("a.jpg", "torn")
    assert len(unreadable) == 1 and unreadable.paths == {"a.jpg"}
    with pytest.raises(PlacewiseError, match="2 of 6.*b.jpg"):
        unreadable.add("b.jpg", "torn")
