import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from metrics.metric import Metric
from reports import curves
from reports.curves import read_metrics, save_training_curves

RECALL = Metric("R@1")
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
    save_training_curves(metrics(HEADER + rows), tmp_path / "curves.png", RECALL)
    loss, recall = figures[0].axes
    assert list(lines_of(loss).values()) == [[[0, 5.5], [1, 4.5], [2, 3.5], [3, 3.0]]]
    assert list(lines_of(recall).items()) == [
        ("R@1", [[0, 50.0], [2, 52.5], [3, 51.0]]),
        ("R@5", [[0, 60.0], [2, 62.0], [3, 63.0]]),
        ("R@10", [[0, 70.0], [2, 72.0], [3, 73.0]]),
        ("best R@1: 52.5 at epoch 2", [[2, 52.5]]),
    ]


def test_recalls_share_a_panel_and_the_main_one_is_thick(tmp_path, metrics, figures):
    save_training_curves(metrics(HEADER + "0,5.5,100,10,50.0,70.0,60.0\n"), tmp_path / "curves.png", Metric("R@5"))
    assert [axes.get_title("left") for axes in figures[0].axes] == ["Training loss", "Validation recall (%)"]
    widths = {line.get_label(): line.get_linewidth() for line in figures[0].axes[1].lines}
    assert widths["R@5"] > widths["R@1"] == widths["R@10"]
    assert "best R@5: 60.0 at epoch 0" in widths


def test_the_best_epoch_is_the_lowest_where_lower_is_better(tmp_path, metrics, figures):
    """Epochs 1 and 2 have the same best value: the first of them is marked."""
    rows = "0,5,40,9,4\n1,4,50,7.25,5\n2,3,45,7.25,6\n"
    table = metrics("epoch,loss,val_within 25 km,val_mean km,val_within 1 km\n" + rows)
    save_training_curves(table, tmp_path / "curves.png", Metric("mean km", higher_is_better=False))
    loss, error, within = figures[0].axes
    assert lines_of(error) == {
        "mean km": [[0, 9], [1, 7.25], [2, 7.25]],
        "best mean km: 7.25 at epoch 1": [[1, 7.25]],
    }
    assert lines_of(within) == {"within 1 km": [[0, 4], [1, 5], [2, 6]], "within 25 km": [[0, 40], [1, 50], [2, 45]]}
    assert [axes.get_title("left") for axes in (loss, error, within)] == [
        "Training loss",
        "Validation mean km (lower is better)",
        "Validation within N km",
    ]


def test_the_panel_of_a_metric_that_was_not_measured_yet_is_empty(tmp_path, metrics, figures):
    save_training_curves(metrics("epoch,loss\n0,5\n"), tmp_path / "curves.png", Metric("GeoScore"))
    _, axes = figures[0].axes
    assert axes.get_title("left") == "Validation GeoScore"
    assert [text.get_text() for text in axes.texts] == ["no values yet"]


def test_many_figures_take_several_rows(tmp_path, metrics, figures):
    save_training_curves(metrics("epoch,loss,val_a,val_b,val_c\n0,5,1,2,3\n"), tmp_path / "curves.png", Metric("c"))
    shown = [axes.get_title("left") for axes in figures[0].axes if axes.axison]
    assert shown == ["Training loss", "Validation c", "Validation a", "Validation b"]


def test_values_that_are_not_finite_are_left_out(tmp_path, metrics, figures):
    save_training_curves(metrics("epoch,loss,val_R@1\n0,5,40\n1,nan,nan\n2,inf,30\n"), tmp_path / "curves.png", RECALL)
    loss, recall = figures[0].axes
    assert list(lines_of(loss).values()) == [[[0, 5]]]
    assert lines_of(recall) == {"R@1": [[0, 40], [2, 30]], "best R@1: 40.0 at epoch 0": [[0, 40]]}


def test_picture_is_a_png_without_leftovers(tmp_path, metrics):
    save_training_curves(metrics(HEADER + "0,5.5,100,10,50,70,60\n"), tmp_path / "plots" / "curves.png", RECALL)
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
    save_training_curves(metrics(text), tmp_path / "curves.png", RECALL)
    assert (tmp_path / "curves.png").stat().st_size > 0


def test_a_single_epoch_has_one_whole_tick(tmp_path, metrics, figures):
    save_training_curves(metrics("epoch,loss,val_R@1\n3,5,40\n"), tmp_path / "curves.png", RECALL)
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
        save_training_curves(metrics(text), tmp_path / "curves.png", RECALL)
    assert not (tmp_path / "curves.png").exists()


def test_global_settings_of_matplotlib_stay(tmp_path, metrics):
    before = dict(matplotlib.rcParams)
    save_training_curves(metrics(HEADER + "0,5.5,100,10,50,70,60\n"), tmp_path / "curves.png", RECALL)
    assert dict(matplotlib.rcParams) == before
