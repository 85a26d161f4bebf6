from pathlib import Path

import pytest

from datasets.test_dataset import TestSet
from tests.datasets.readers.city import Street, read, write_street


@pytest.fixture
def street(tmp_path: Path) -> Street:
    """A street in the layout of folders."""
    return write_street(tmp_path / "street")


@pytest.fixture
def twin(street: Street) -> TestSet:
    """The street read by its UTM coordinates."""
    (test_set,) = read(street.folder)
    return test_set
