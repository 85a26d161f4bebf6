import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.sizes import SIZES, DemoSize, Plan
from demo.write import make_demo
from tests.helpers import ROOT

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
nbformat = pytest.importorskip("nbformat")

NOTEBOOK = ROOT / "docs" / "coursework.ipynb"
LARGEST = 400_000  # bytes, with its pictures
TRAIN = (
    "--groups_num 1 --backbone EfficientNet_Lite0 --fc_output_dim 16 --num_trainable_blocks 1 --image_size 64 "
    "--resize_test_imgs --epochs_num 1 --iterations_per_epoch 2 --batch_size 4 --min_images_per_class 2 "
    "--num_workers 0 --precision fp32 --trackers none"
)
EXPERIMENTS = ("augmentation", "backbone", "aggregation", "loss", "optimizer")


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, Path]]:
    """The notebook after a run on a tiny demo city, and the folder of its runs."""
    folder = tmp_path_factory.mktemp("coursework")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "demo", DemoSize(Plan((3, 3), (1, 1), (2, 1)), 6, 6, 3, 6, 4, 8))
        city = make_demo(folder / "city", workers=1)
    notebook = nbformat.read(NOTEBOOK, 4)
    settings = {
        "PLACEWISE_DATA": str(city),
        "PLACEWISE_RUNS": str(folder / "runs"),
        "PLACEWISE_TRAIN": TRAIN,
        "PLACEWISE_BACKBONE": "--backbone MobileNet_V3_Small --pretrained none",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.execute(env=os.environ | settings)
    yield notebook, folder / "runs"


def outputs(notebook: object, kind: str) -> list[str]:
    """Returns all outputs of one type, such as image/jpeg."""
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output["data"][kind] for output in shown if kind in output.get("data", {})]


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(executed: tuple[object, Path]):
    notebook, runs = executed
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert {path.name for path in runs.iterdir() if path.is_dir()} == {
        "baseline",
        "evaluation",
        "compare",
        *EXPERIMENTS,
    }


@pytest.mark.slow
def test_the_notebook_shows_tables_and_pictures(executed: tuple[object, Path]):
    notebook, runs = executed
    results, confidence, comparison = outputs(notebook, "text/markdown")
    recall = json.loads((runs / "evaluation" / "results.json").read_text())
    assert "city/test" in results and "re-ranking of the first 10 by sift" in results and recall
    assert "AUC-PR" in confidence and "inliers" in confidence
    for name in ("baseline", *EXPERIMENTS):
        assert f"| {name} |" in comparison
    # The map, three predictions, matches if a query was re-ranked, confidence, recall and cost.
    assert len(outputs(notebook, "image/jpeg")) in (6, 7)


@pytest.mark.slow
def test_an_experiment_changes_one_thing(executed: tuple[object, Path]):
    _, runs = executed
    settings = {
        name: json.loads((runs / name / "run.json").read_text())["config"] for name in ("baseline", *EXPERIMENTS)
    }
    changed = {
        name: {key for key in own if own[key] != settings["baseline"].get(key)} for name, own in settings.items()
    }
    assert {"augmentations"} <= changed["augmentation"] and "backbone" not in changed["augmentation"]
    assert {"backbone", "pretrained"} <= changed["backbone"] and "loss" not in changed["backbone"]
    assert "aggregation" in changed["aggregation"] and "loss" not in changed["aggregation"]
    assert "loss" in changed["loss"] and "aggregation" not in changed["loss"]
    assert {"optimizer", "scheduler", "weight_decay"} <= changed["optimizer"] and "loss" not in changed["optimizer"]


def test_the_stored_notebook_is_small_and_without_errors():
    assert NOTEBOOK.stat().st_size < LARGEST
    notebook = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(notebook)
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert '"output_type": "error"' not in text and str(ROOT) not in text and "/tmp/" not in text
