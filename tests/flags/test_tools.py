import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from augmentations import AUGMENTATIONS
from commons.errors import PlacewiseError
from flags import database, tools
from tests.flags.parsing import refused
from tests.helpers import ROOT

PARSERS = {name: parse for name, parse in (vars(tools) | vars(database)).items() if name.startswith("parse_")}


def test_download(tmp_path: Path):
    settings = tools.parse_download_settings([])
    assert (settings.name, settings.folder) == (None, "data")
    settings = tools.parse_download_settings(["sf_xs", "--folder", str(tmp_path)])
    assert (settings.name, settings.folder) == ("sf_xs", str(tmp_path))
    assert tools.parse_download_settings(["msls"]).name == "msls"
    with refused(r"sf_xz: is unknown \(did you mean sf_xs\?\); choose from sf_xs, "):
        tools.parse_download_settings(["sf_xz"])
    (tmp_path / "file").write_text("")
    with pytest.raises(PlacewiseError, match="`folder`: .*cannot be written"):
        tools.parse_download_settings(["sf_xs", "--folder", str(tmp_path / "file" / "below")])


def test_inspect_data():
    settings = tools.parse_inspect_data_settings(["x", "--M", "20"])
    assert (settings.dataset_folder, settings.M, settings.output) == ("x", 20, None)
    with refused("--alpha: 50"):
        tools.parse_inspect_data_settings(["x", "--alpha", "50"])
    with refused("required: DIR"):
        tools.parse_inspect_data_settings([])


def test_preview():
    settings = tools.parse_preview_settings(["--dataset_folder", "x", "--each"])
    assert settings.augmentation.augmentations == list(AUGMENTATIONS)
    assert settings.augmentation.augmentation_options["fog"] == {"density": 2.0, "p": 0.3}
    assert (settings.sheet.dataset_folder, settings.sheet.draws, settings.sheet.image_size) == ("x", 6, 512)
    settings = tools.parse_preview_settings(["--dataset_folder", "x", "--each", "--augmentations", "fog"])
    assert settings.augmentation.augmentations == ["fog"]
    with refused("--output: sheet.gif must end in"):
        tools.parse_preview_settings(["--dataset_folder", "x", "--output", "sheet.gif"])
    with refused("--dataset_folder is missing"):
        tools.parse_preview_settings([])
    with refused("--hue is a setting of color_jitter"):
        tools.parse_preview_settings(["--dataset_folder", "x", "--augmentations", "fog", "--hue", "0.1"])


def test_inspect_network():
    settings = tools.parse_inspect_network_settings(["ResNet50", "--no_speed"])
    assert (settings.names, settings.no_speed, settings.image_size) == (["ResNet50"], True, 224)
    assert not hasattr(settings, "num_workers")  # it reads no images
    assert settings.precision == "auto" and tools.parse_inspect_network_settings([]).names == []
    with refused("did you mean ResNet50"):
        tools.parse_inspect_network_settings(["Resnet50"])


def test_soup(tmp_path: Path):
    members = [tmp_path / name for name in ("a.pth", "b.pth")]
    for member in members:
        member.write_bytes(b"weights")
    names = list(map(str, members))
    output = str(tmp_path / "soup.pth")
    settings = tools.parse_soup_settings([*names, "--output", output])
    assert (settings.members.checkpoints, settings.members.method, settings.members.output) == (
        names,
        "uniform",
        output,
    )
    assert (settings.evaluation.image_size, settings.evaluation.resize_test_imgs) == (None, None)
    settings = tools.parse_soup_settings([*names, "--output", output, "--method", "greedy", "--val_set_folder", "v"])
    assert (settings.members.method, settings.data.val_set_folder) == ("greedy", "v")
    for wrong, words in (
        (names[:1], "a.pth: a single checkpoint cannot be averaged"),
        ([*names, "--method", "greedy"], "--method greedy needs a validation set"),
        ([*names, str(tmp_path / "c.pth")], "c.pth: there is no such file"),
        ([*names, "--output", "soup.onnx"], "--output soup.onnx: must end in .pth"),
        ([*names, "--output", names[0]], "--output .*a.pth: would overwrite a member"),
    ):
        with refused(words):
            tools.parse_soup_settings(wrong)


def test_export(tmp_path: Path):
    checkpoint = tmp_path / "best_model.pth"
    checkpoint.write_bytes(b"weights")
    settings = tools.parse_export_settings([str(checkpoint), "--format", "torchscript"])
    assert (settings.checkpoint, settings.output) == (str(checkpoint), str(tmp_path / "best_model.ts"))
    flags = [str(checkpoint), "--format", "onnx", "--int8", "--calibration_folder", str(tmp_path)]
    assert tools.parse_export_settings(flags).output == str(tmp_path / "best_model_int8.onnx")
    (tmp_path / "x.onnx").write_bytes(b"network")
    for wrong, words in (
        ([str(checkpoint)], "--format is missing: choose from onnx, torchscript, safetensors"),
        ([str(tmp_path / "no.pth"), "--format", "onnx"], "no.pth: there is no such file"),
        ([str(tmp_path / "x.onnx"), "--format", "onnx"], "x.onnx: this network is exported already"),
        ([*flags, "--format", "torchscript"], "--int8 and --format torchscript are in conflict"),
        (flags[:4], "--int8 and --calibration_folder need each other"),
        ([*flags[:3], "--calibration_folder", str(tmp_path)], "--int8 and --calibration_folder need each other"),
        ([*flags, "--calibration_folder", "nowhere"], "--calibration_folder nowhere: there is no such folder"),
        ([*flags, "--output", "network.ts"], "--output network.ts: must end in .onnx"),
    ):
        with refused(words):
            tools.parse_export_settings(wrong)


def test_compare_and_errors(tmp_path: Path):
    settings = tools.parse_compare_settings(["a", "b", "--sort", "--output", str(tmp_path)])
    assert (settings.runs, settings.sort, settings.output) == (["a", "b"], True, str(tmp_path))
    settings = tools.parse_errors_settings(["a", "--worst", "3"])
    assert (settings.run, settings.worst, settings.output) == ("a", 3, None)
    file = tmp_path / "file"
    file.write_text("")
    for parse in (tools.parse_compare_settings, tools.parse_errors_settings):
        with refused("required: FOLDER"):
            parse([])
        with pytest.raises(PlacewiseError, match="`output`: .*below cannot be written"):
            parse(["a", "--output", str(file / "below")])


def test_build_cells(tmp_path: Path):
    photos = tmp_path / "photos.csv"
    photos.write_text("lat,lon\n1,2\n")
    own = [str(photos), "--output", str(tmp_path / "cells")]
    settings = tools.parse_build_cells_settings([*own, "--cell_options", "max_images=500", "--coarser", "2000,1000"])
    assert settings.cells.cell_options["max_images"] == 500 and settings.cells.coarser == [2000, 1000]
    assert settings.output.radii == [1, 25, 200, 750, 2500]
    settings = tools.parse_build_cells_settings([*own, "--cells", "admin", "--polygons", "x.geojson", "--radii", "9,3"])
    assert (settings.cells.polygons, settings.output.radii) == ("x.geojson", [3, 9])
    for wrong, words in (
        (["no.csv"], "no.csv: there is no such file or folder"),
        ([*own, "--test_photos", "no.csv"], "no.csv: there is no such file or folder"),
        ([*own, "--cells", "quadtre"], "--cells: quadtre is unknown .*did you mean quadtree"),
        ([*own, "--cells", "admin"], "--cells admin: --polygons is required for admin and admin_optics"),
        ([*own, "--polygons", "x.geojson"], "--cells s2: --polygons is required for admin and"),
        ([*own, "--polygon_name", "x"], "--polygon_name needs --polygons"),
        ([*own, "--cell_options", "max=1"], "--cell_options: s2 has no option max"),
        ([*own, "--coarser", "10"], "--coarser: 10: give different values of max_images, all above 1000"),
        ([*own, "--radii", "1,1"], "must not contain a radius twice"),
    ):
        with refused(words):
            tools.parse_build_cells_settings(wrong)


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
def test_help_names_the_tool(parse: Callable[..., Any], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        parse(["--help"])
    tool = parse.__name__.removeprefix("parse_").removesuffix("_settings")
    text = capsys.readouterr().out
    assert end.value.code == 0 and text.startswith(f"usage: python -m tools.{tool} ")
    returned = inspect.signature(parse).return_annotation
    returned = get_args(returned)[0] if get_origin(returned) is tuple else returned
    assert returned.__name__.endswith("Settings")
    assert "None" not in text and (ROOT / "tools" / f"{tool}.py").is_file()


def test_every_tool_has_a_parser():
    tool_files = {file.stem for file in (ROOT / "tools").glob("[a-z]*.py")}
    assert tool_files == {name.removeprefix("parse_").removesuffix("_settings") for name in PARSERS}


def test_settings_of_the_tools_import_nothing_heavy():
    command = "import sys, flags.tools; sys.exit(bool({'torch', 'numpy', 'PIL', 'pandas'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=False).returncode == 0
