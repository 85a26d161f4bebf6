from pathlib import Path

import numpy as np

from tasks.extraction import make_table


def test_a_table_on_disk_has_no_name_and_lives_as_long_as_it_is_used(tmp_path: Path):
    table = make_table(100, 8, on_disk=True, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    vectors = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    table.add([(np.arange(100), vectors)])
    assert table.vectors.dtype == np.float16
    assert np.allclose(table.descriptors(), vectors, atol=5e-3)
    assert make_table(3, 8).vectors.dtype == np.float32
