"""app.py as a user runs it."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commons.errors import PlacewiseError
from tests.helpers import ROOT, Started, assert_mistakes, call
from tests.tasks.test_locating import cells, places  # noqa: F401, fixtures
from tests.test_geolocation import SMALL, write_country
from tests.web.serving import ask, photo, send

pytestmark = pytest.mark.slow
CPU = ["--device", "cpu", "--precision", "fp32"]


@contextmanager
def running(*flags: object) -> Iterator[tuple[Started, int]]:
    """Runs app.py until the end of the context; yields the process and its port."""
    pytest.importorskip("fastapi", reason="needs requirements-app.txt")
    pytest.importorskip("uvicorn", reason="needs requirements-app.txt")
    process = Started("app.py", *CPU, *flags)
    try:
        yield process, int(process.wait_for(r"The page is at http://127.0.0.1:(\d+)")[1])
    finally:
        process.kill()
        process.wait()


def test_it_serves_on_the_loopback_address_is_killed_and_starts_again(cells: Path, tmp_path: Path):  # noqa: F811
    examples = tmp_path / "photos"
    examples.mkdir()
    (examples / "a.jpg").write_bytes(photo())
    flags = ["--resume_model", cells, "--examples", examples, "--top_k", 2]
    with running(*flags, "--port", 0) as (process, port):
        first = send(port, photo()).json["answers"]
        (example,) = ask(port, "GET", "/api/info").json["examples"]
        assert len(first) == 2 and ask(port, "GET", example).status == 200
        with socket.socket() as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", port))  # as any other address of this machine
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        with running(*flags, "--port", port) as (again, same):
            assert same == port and send(port, photo()).json["answers"] == first
            code, output = call("app", *CPU, *flags, "--port", port)
            assert code == 2 and f"error: --port: 127.0.0.1:{port} cannot be used" in output
            again.send_signal(signal.SIGINT)
            assert again.wait(20) == 130
    assert {own.name for own in tmp_path.rglob("*")} == {"photos", "a.jpg"}


def test_mistakes_end_in_one_line(cells: Path, places: Path, tmp_path: Path):  # noqa: F811
    assert_mistakes(
        "app",
        [
            (["--resume_model", "nowhere.pth"], 2, "--resume_model nowhere.pth: there is no such file"),
            (["--database", tmp_path], 2, "--resume_model is missing"),
            (["--answer", "mean"], 2, "--answer needs --resume_model"),
            (["--refine", 5], 2, "--refine needs --reference"),
            (["--reference", tmp_path, "--resume_model", cells], 2, "--reference contains its network"),
            (["--reference", tmp_path / "no"], 2, "no: there is no such folder"),
            (["--resume_model", cells, "--examples", "nowhere"], 2, "--examples nowhere: there is no such folder"),
            (["--resume_model", cells, "--port", 70000], 2, "must be at most 65535"),
        ],
    )
    pytest.importorskip("fastapi", reason="needs requirements-app.txt")
    pytest.importorskip("uvicorn", reason="needs requirements-app.txt")
    assert_mistakes(
        "app",
        [
            (["--resume_model", places, "--port", 0], 2, "--database: is missing"),
            (
                ["--resume_model", cells, "--host", "no.such.name.invalid"],
                2,
                "--host: no.such.name.invalid is not an address",
            ),
            (["--resume_model", cells, "--host", "192.0.2.1"], 2, "--host: 192.0.2.1 is not an address"),
        ],
    )


def test_missing_packages_are_named_with_the_command(cells: Path, tmp_path: Path):  # noqa: F811
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('No module named uvicorn', name='uvicorn')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['app.py', '--resume_model', {str(cells)!r}]"
    code += "; import app; from commons.errors import run; run(app.main)"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert made.returncode == 1
    assert made.stderr.splitlines()[-1].endswith("pip install -r requirements-app.txt (uvicorn is missing)")


def test_the_network_of_the_demo_is_trained_once_and_a_stopped_run_goes_on(tmp_path: Path, capfd):
    from web.demo import demo_network

    country, folder = write_country(tmp_path / "country"), tmp_path / "run"
    flags = ["--method", "cells", "--cells", "kmeans", "--cell_options", "cells=6", *map(str, SMALL)]
    flags += ["--epochs_num", "1", "--iterations_per_epoch", "4"]
    with pytest.raises(PlacewiseError, match="training the network of the demo country failed"):
        demo_network(str(country), folder, ["--method", "nothing"])
    made = demo_network(str(country), folder, flags)
    assert "this is done only once" in capfd.readouterr().out
    assert made.checkpoint.exists() and made.areas is None
    assert len(made.photos) == 24 and all(own.exists() and own.parent.name == "test" for own in made.photos)
    again = demo_network(str(country), folder, flags)
    assert again == made and capfd.readouterr().out == ""
    (folder / "results.json").unlink()  # as if it had been stopped before
    assert demo_network(str(country), folder, flags) == made
    assert "--resume_train" in capfd.readouterr().out
