from pathlib import Path

import pytest

from commons.files import atomic_path, write_text


def test_success_replaces_and_leaves_no_temporary(tmp_path: Path):
    write_text(tmp_path / "a" / "x.txt", "one")
    write_text(tmp_path / "a" / "x.txt", "two")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.txt"]
    assert (tmp_path / "a" / "x.txt").read_text() == "two"


def test_failure_keeps_the_old_file_and_leaves_no_temporary(tmp_path: Path):
    write_text(tmp_path / "x.txt", "old")
    with pytest.raises(ValueError), atomic_path(tmp_path / "x.txt") as temporary:
        temporary.write_text("half")
        raise ValueError
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
    assert (tmp_path / "x.txt").read_text() == "old"


def test_written_file_has_the_usual_rights(tmp_path: Path):
    (tmp_path / "usual").write_text("")
    write_text(tmp_path / "ours", "")
    with atomic_path(tmp_path / "replaced") as temporary:  # as safetensors does
        (tmp_path / "private").touch(0o600)
        (tmp_path / "private").replace(temporary)
    for name in ("ours", "replaced"):
        assert (tmp_path / name).stat().st_mode == (tmp_path / "usual").stat().st_mode
