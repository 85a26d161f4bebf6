import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from reports import curves
from reports.curves import read_metrics, save_training_curves

HEADER = "epoch,loss,images_per_second,seconds,val_R@1,val_R@10,val_R@5\n"


@pytest.fixture
def metrics(tmp_path):
    def write(text):
        path = tmp_path / "metrics.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, in order."""
    made = []

    class Kept(Figure):
        def __init__(self, **options):
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr(curves, "Figure", Kept)
    return made


def lines_of(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_curves_hold_the_numbers_of_the_table(tmp_path, metrics, figures):
    rows = "0,5.5,100,10,50.0,70.0,60.0\n1,4.5,100,10,,,\n2,3.5,100,10,52.5,72.0,62.0\n3,3.0,100,10,51.0,73.0,63.0\n"
    save_training_curves(metrics(HEADER + rows), tmp_path / "curves.png")
    loss, recall = figures[0].axes
    assert list(lines_of(loss).values()) == [[[0, 5.5], [1, 4.5], [2, 3.5], [3, 3.0]]]
    assert list(lines_of(recall).items()) == [
        ("R@1", [[0, 50.0], [2, 52.5], [3, 51.0]]),
        ("R@5", [[0, 60.0], [2, 62.0], [3, 63.0]]),
        ("R@10", [[0, 70.0], [2, 72.0], [3, 73.0]]),
        ("best R@1: 52.5 at epoch 2", [[2, 52.5]]),
    ]


def test_values_that_are_not_finite_are_left_out(tmp_path, metrics, figures):
    save_training_curves(metrics("epoch,loss,val_R@1\n0,5,40\n1,nan,nan\n2,inf,30\n"), tmp_path / "curves.png")
    loss, recall = figures[0].axes
    assert list(lines_of(loss).values()) == [[[0, 5]]]
    assert lines_of(recall) == {"R@1": [[0, 40], [2, 30]], "best R@1: 40.0 at epoch 0": [[0, 40]]}


def test_picture_is_a_png_without_leftovers(tmp_path, metrics):
    save_training_curves(metrics(HEADER + "0,5.5,100,10,50,70,60\n"), tmp_path / "plots" / "curves.png")
    with Image.open(tmp_path / "plots" / "curves.png") as picture:
        assert picture.format == "PNG" and picture.size == (1430, 546)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["curves.png"]


def test_last_row_of_a_repeated_epoch_counts(metrics):
    path = metrics(HEADER + "0,5,1,1,50,,\n1,4,1,1,60,,\n2,3,1,1,70,,\n1,4.25,1,1,,,\n")
    assert read_metrics(path) == {
        0: {"loss": 5, "images_per_second": 1, "seconds": 1, "val_R@1": 50},
        1: {"loss": 4.25, "images_per_second": 1, "seconds": 1},
        2: {"loss": 3, "images_per_second": 1, "seconds": 1, "val_R@1": 70},
    }


@pytest.mark.parametrize(
    "text",
    ["epoch,loss\n", "epoch,loss\n0,\n", "epoch\n0\n", "epoch,val_R@1\n3,10\n", "epoch,loss,val_R@1\n1,nan,nan\n"],
)
def test_tables_with_little_in_them_can_be_drawn(tmp_path, metrics, text):
    save_training_curves(metrics(text), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 0


def test_a_single_epoch_has_one_whole_tick(tmp_path, metrics, figures):
    save_training_curves(metrics("epoch,loss,val_R@1\n3,5,40\n"), tmp_path / "curves.png")
    for axes in figures[0].axes:
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [3]


def test_a_cut_off_last_row_is_read_as_far_as_it_goes(metrics):
    assert read_metrics(metrics("epoch,loss,val_R@1\n0,5,50\n1,4")) == {0: {"loss": 5, "val_R@1": 50}, 1: {"loss": 4}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\x00\x01", "no column 'epoch'"),
        ("", "no column 'epoch'"),
        ("a,b\n1,2\n", "no column 'epoch'"),
        ("epoch,loss\n0,1\n1,high\n", "line 3: .*'high'"),
    ],
)
def test_wrong_tables_are_refused_by_name(tmp_path, metrics, text, message):
    with pytest.raises(ValueError, match=rf"metrics\.csv.*{message}"):
        save_training_curves(metrics(text), tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_global_settings_of_matplotlib_stay(tmp_path, metrics):
    before = dict(matplotlib.rcParams)
    save_training_curves(metrics(HEADER + "0,5.5,100,10,50,70,60\n"), tmp_path / "curves.png")
    assert dict(matplotlib.rcParams) == before
