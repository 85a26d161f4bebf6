import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commons.errors import PlacewiseError
from datasets.download import disk, http
from tests.datasets.download.servers import Behaviour, serving
from tests.helpers import ROOT

CONTENT = bytes(range(256)) * 20_000  # 5 MB


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PAUSE", 0.0)


def fetch(behaviour: Behaviour, target: Path) -> None:
    with serving(behaviour) as address:
        http.download(address, target, "the page")


def test_a_file_arrives_whole(tmp_path: Path):
    behaviour = Behaviour(CONTENT)
    fetch(behaviour, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT and behaviour.asked == [None]
    assert os.listdir(tmp_path) == ["set.zip"]


def test_a_broken_connection_is_continued(tmp_path: Path):
    behaviour = Behaviour(CONTENT, breaks_after=[2_000_000, 1_000_000])
    fetch(behaviour, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT
    assert behaviour.asked == [None, "bytes=2000000-", "bytes=3000000-"]


def test_a_later_command_continues(tmp_path: Path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:4_000_000])
    behaviour = Behaviour(CONTENT)
    fetch(behaviour, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT and behaviour.asked == ["bytes=4000000-"]


def test_a_part_that_is_the_whole_file_needs_no_bytes(tmp_path: Path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT)
    fetch(Behaviour(CONTENT), tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_dropped(tmp_path: Path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT + b"more")
    fetch(Behaviour(CONTENT), tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_a_server_without_range_starts_again(tmp_path: Path):
    (tmp_path / "set.zip.part").write_bytes(b"x" * 4_000_000)
    behaviour = Behaviour(CONTENT, ranges=False, breaks_after=[1_000_000])
    fetch(behaviour, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT
    assert behaviour.asked == ["bytes=4000000-", "bytes=1000000-"]


def test_another_part_than_the_one_asked_for_is_refused(tmp_path: Path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:1000])
    with pytest.raises(PlacewiseError, match="another part of the file .*1.0 kB are kept"):
        fetch(Behaviour(CONTENT, shift=1), tmp_path / "set.zip")
    assert (tmp_path / "set.zip.part").read_bytes() == CONTENT[:1000]


def test_a_wrong_size_is_an_error_and_what_arrived_is_kept(tmp_path: Path):
    behaviour = Behaviour(CONTENT, ranges=False, length=len(CONTENT) + 100)
    with pytest.raises(
        PlacewiseError, match=r"5,120,000 of 5,120,100 bytes arrived\); 5.1 MB are kept in .*set.zip.part"
    ):
        fetch(behaviour, tmp_path / "set.zip")
    assert os.listdir(tmp_path) == ["set.zip.part"]
    assert len(behaviour.asked) == http.TRIES + 1  # the first one brought bytes


def test_a_web_page_is_no_data_set(tmp_path: Path):
    with pytest.raises(
        PlacewiseError, match="returned a web page .* from the page in a browser, save it as .*set.zip and"
    ):
        fetch(Behaviour(b"<html>quota exceeded</html>", kind="text/html; charset=utf-8"), tmp_path / "set.zip")
    assert os.listdir(tmp_path) == []


def test_an_address_that_is_gone_is_not_tried_again(tmp_path: Path):
    behaviour = Behaviour(b"", status=404)
    with pytest.raises(PlacewiseError, match="the server answered 404 Not Found; see the page"):
        fetch(behaviour, tmp_path / "set.zip")
    assert len(behaviour.asked) == 1


def test_a_busy_server_is_tried_again(tmp_path: Path):
    behaviour = Behaviour(b"", status=503)
    with pytest.raises(PlacewiseError, match=r"the download failed \(HTTP Error 503"):
        fetch(behaviour, tmp_path / "set.zip")
    assert len(behaviour.asked) == http.TRIES


def test_room_is_checked_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = disk.shutil.disk_usage(tmp_path)
    # The file and what it unpacks to need 10.24 MB.
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    with pytest.raises(PlacewiseError, match="`folder`: .* has 10.0 MB left, and the download and the 5.1 MB that it"):
        fetch(Behaviour(CONTENT), tmp_path / "set.zip")
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage._replace(free=10_240_000))
    fetch(Behaviour(CONTENT), tmp_path / "set.zip")


def test_a_disk_that_fills_up_keeps_the_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    copy = http._copy

    def fill(response: object, file: object, *rest: object) -> None:
        file.write(response.read(1_000_000))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(http, "_copy", fill)
    with pytest.raises(PlacewiseError, match="`folder`: the disk is full while .*set.zip.part is written"):
        fetch(Behaviour(CONTENT), tmp_path / "set.zip")
    monkeypatch.setattr(http, "_copy", copy)
    behaviour = Behaviour(CONTENT)
    fetch(behaviour, tmp_path / "set.zip")
    assert behaviour.asked == ["bytes=1000000-"] and (tmp_path / "set.zip").read_bytes() == CONTENT


def test_a_killed_download_is_continued(tmp_path: Path):
    target = tmp_path / "set.zip"
    script = (
        "import sys; from pathlib import Path; from datasets.download import http; http.TIMEOUT = 30\n"
        "http.CHUNK = 4096; http.download(sys.argv[1], Path(sys.argv[2]), 'page')"
    )
    behaviour = Behaviour(CONTENT, length=len(CONTENT) + 1)  # the client waits for the last byte
    with serving(behaviour) as address:
        part = target.with_name("set.zip.part")
        process = subprocess.Popen([sys.executable, "-c", script, address, str(target)], cwd=ROOT)
        while not part.is_file() or part.stat().st_size == 0:
            time.sleep(0.02)
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    there = part.stat().st_size
    assert 0 < there < len(CONTENT) + 1 and not target.exists()
    behaviour = Behaviour(CONTENT)
    fetch(behaviour, target)
    assert target.read_bytes() == CONTENT and behaviour.asked == [f"bytes={there}-"]
