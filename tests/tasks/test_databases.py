"""Databases of photos, built and opened by the programs as a user runs them."""

import csv
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.reading import read_places
from tasks.database_building import images_of, read_new_images
from tasks.databases import open_database
from tests.helpers import assert_mistakes, call, in_processes
from tests.tasks.test_locating import places  # noqa: F401, a fixture

pytestmark = pytest.mark.slow
CPU = ["--device", "cpu", "--precision", "fp32", "--num_workers", 0]


def build(*flags: object) -> str:
    code, output = call("tools.build_database", *flags, *CPU)
    assert code == 0, output
    return output


@pytest.fixture(scope="module")
def base(places: Path, city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The database of the tiny data set; read only."""
    folder = tmp_path_factory.mktemp("base") / "db"
    build("--resume_model", places, "--images", city / "test/database", "--output", folder)
    return folder


def rows_of(file: Path) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def localized(queries: Path, output: Path, *flags: object) -> list[dict[str, str]]:
    code, text = call("localize", queries, *flags, *CPU, "--top_k", 3, "--output", output)
    assert code == 0, text
    return rows_of(output)


def test_positions_equal_those_from_the_images_and_need_none_of_them(
    places: Path,  # noqa: F811
    city: Path,
    own_city: Path,
    tmp_path: Path,
):
    images, database = own_city / "test/database", tmp_path / "db"
    build("--resume_model", places, "--images", images, "--output", database)
    queries = city / "test/queries"
    plain = localized(queries, tmp_path / "a.csv", "--database", images, "--resume_model", places)
    shutil.rmtree(images)
    found = localized(queries, tmp_path / "b.csv", "--database", database)  # with its own network
    for one, other in zip(plain, found, strict=True):
        assert float(one["similarity"]) == pytest.approx(float(other["similarity"]), abs=2e-3)
        if one["source"] == other["source"]:
            assert one["latitude"] == other["latitude"]
    assert np.mean([a["source"] == b["source"] for a, b in zip(plain, found, strict=True)]) > 0.7
    for index in ("flat", "ivf_sq8"):
        flags = ["--database", database, "--index", index, "--resume_model", places]
        again = localized(queries, tmp_path / "c.csv", *flags)
        assert [row["source"] for row in again] == [row["source"] for row in found]


def test_eval_takes_a_database_and_its_network(base: Path, city: Path, places: Path, tmp_path: Path):  # noqa: F811
    results = {}
    for name, flags in {
        "images": ["--database_folder", city / "test/database", "--resume_model", places],
        "flat": ["--database_folder", base],
        "stored": ["--database_folder", base, "--index", "stored"],
    }.items():
        queries = ["--queries_folder", city / "test/queries", "--output_folder", tmp_path / name]
        code, output = call("eval", *flags, *queries, *CPU)
        assert code == 0, output
        (results[name],) = json.loads((tmp_path / name / "results.json").read_text()).values()
    assert results["flat"]["R@1"] == results["stored"]["R@1"]
    assert results["flat"]["database"] == results["images"]["database"]
    assert results["flat"]["R@5"] == pytest.approx(results["images"]["R@5"], abs=20)


def test_fewer_dimensions_and_bytes(base: Path, city: Path, places: Path, tmp_path: Path):  # noqa: F811
    """A database in int8 of the first 24 dimensions answers as float32 does, and its network needs no further flag."""
    images, queries = city / "test/database", ["--queries_folder", city / "test/queries", *CPU]
    kept = ["--first_dimensions", 24, "--descriptor_type", "int8", "--index", "flat"]
    database = tmp_path / "db"
    build("--resume_model", places, "--images", images, "--output", database, *kept)
    assert "0 are new" in build("--append", "--images", images, "--output", database)
    opened = open_database(database)
    assert (opened.manifest.dim, opened.table.kind, opened.table.bytes_a_descriptor) == (24, "int8", 24)
    whole = open_database(base).table.vectors[:].astype(np.float32)[:, :24]
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    assert np.allclose(opened.table.vectors[:], whole, atol=5e-3)
    results = {}
    plain = ["--database_folder", images, "--resume_model", places, "--first_dimensions", 24]
    runs = {"stored": ["--database_folder", database], "plain": plain, "coded": [*plain, "--descriptor_type", "int8"]}
    for name, flags in runs.items():
        code, output = call("eval", *flags, *queries, "--output_folder", tmp_path / name)
        assert code == 0, output
        (results[name],) = json.loads((tmp_path / name / "results.json").read_text()).values()
    steps = results["coded"]["test_time"]
    assert [row["step"] for row in steps] == ["plain", "+ database in int8"]
    assert [row["bytes_a_descriptor"] for row in steps] == [96, 24]
    assert results["stored"]["R@1"] == results["coded"]["R@1"] and steps[0]["R@1"] == results["plain"]["R@1"]
    assert localized(city / "test/queries", tmp_path / "a.csv", "--database", database)
    queries += ["--output_folder", tmp_path / "no"]
    assert_mistakes(
        "eval",
        [(["--database_folder", database, *queries, "--first_dimensions", 16], 1, "descriptors (24 dimensions)"),
         ([*plain[:-1], 1000, *queries], 2, "--first_dimensions: 1000 is too many")],
    )  # fmt: skip
    wrong = ["--append", "--images", images, "--output", database, "--descriptor_type", "binary"]
    assert_mistakes("tools.build_database", [(wrong, 2, "--descriptor_type: cannot be changed once")])


def test_appending_and_removing(own_city: Path, city: Path, places: Path, tmp_path: Path):  # noqa: F811
    images, database = own_city / "test/database", tmp_path / "db"
    later = sorted(images.iterdir())[:4]
    for path in later:
        path.rename(tmp_path / path.name)
    build("--resume_model", places, "--images", images, "--output", database)
    for path in later:
        (tmp_path / path.name).rename(path)
    shards = sorted((database / "shards").iterdir())
    output = build("--append", "--images", images, "--output", database)
    assert "4 are new" in output and set(shards) < set((database / "shards").iterdir())
    assert "0 are new" in build("--append", "--images", images, "--output", database)
    whole = open_database(database)
    assert sorted(whole.places.names.to_pylist()) == sorted(str(path.resolve()) for path in images.iterdir())
    known = read_places(images)
    order = np.argsort(whole.places.names.to_pylist())
    assert np.array_equal(whole.places.utm_east[order], known.utm_east[np.argsort(known.names.to_pylist())])
    (tmp_path / "list.txt").write_text("\n".join(map(str, later[:2])))
    build("--remove", tmp_path / "list.txt", "--output", database)
    left = open_database(database)
    assert len(left.places) == len(known) - 2 and len(left.table) == len(left.places)
    assert not {str(path) for path in later[:2]} & set(left.places.names.to_pylist())
    assert "all 6 files match their checksums" in build("--check", "--output", database)
    assert_mistakes(
        "tools.build_database",
        [(["--remove", tmp_path / "list.txt", "--output", database], 1, "is not in")],
    )
    assert len(open_database(database).places) == len(left.places)


@pytest.fixture(scope="module")
def order(places: Path, tmp_path_factory: pytest.TempPathFactory) -> list[object]:  # noqa: F811
    """Flags for a database of 120 photos, of which one cannot be decoded; it has 8 shards with the preloaded module."""
    images = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    for number in range(120):
        name = f"@{500_000 + number}@5000000@32@T@@@{number}@@@@@@@@.jpg"
        Image.fromarray(draw.integers(0, 255, (64, 64, 3), np.uint8)).save(images / name)
    (images / name).write_bytes(b"")
    return ["--resume_model", places, "--images", images, "--infer_batch_size", 4, *CPU]


@pytest.fixture(scope="module")
def undisturbed(order: list[object], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of that database, built by one process."""
    folder = tmp_path_factory.mktemp("undisturbed") / "db"
    code, output = call("tools.build_database", *order, "--output", folder, preload="tests.small_shards")
    assert code == 0, output
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("killed", "continued"), [(1, 1), (3, 2)])
def test_killed_processes_are_continued_by_any_number_of_them(
    order: list[object], undisturbed: dict[str, bytes], tmp_path: Path, killed: int, continued: int
):
    flags = [*order, "--output", tmp_path / "db"]
    code, output = in_processes(killed, "tools.build_database", *flags, preload="tests.killing_shards")
    assert code == -signal.SIGKILL, output
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "db").glob("shards/0*")}
    assert 1 <= len(finished) < 8
    code, output = call("localize", order[3], "--database", tmp_path / "db", *CPU)
    assert code == 1 and "the database is incomplete; repeat the command" in output
    code, output = in_processes(continued, "tools.build_database", *flags, preload="tests.small_shards")
    assert code == 0, output
    assert all(path.stat().st_mtime_ns == changed for path, changed in finished.items())
    assert contents(tmp_path / "db") == undisturbed
    assert len(open_database(tmp_path / "db").places) == 119


def test_processes_that_do_not_agree_are_told(order: list[object], tmp_path: Path):
    for words, module in {
        "process 1 has another list of images than process 0": "tests.own_images",
        "--output: process 1 does not see the": "tests.own_folder",
    }.items():
        flags = [*order, "--output", tmp_path / module]
        code, output = in_processes(2, "tools.build_database", *flags, preload=module)
        assert code in (1, 2) and words in output and "Traceback" not in output, output


def test_mistakes_end_in_one_line(base: Path, places: Path, city: Path, tmp_path: Path):  # noqa: F811
    import torch

    from commons.checkpoints import load_checkpoint, save_checkpoint

    other = load_checkpoint(places)
    name = next(iter(other["network"]))
    other["network"][name] = other["network"][name] + 1e-3
    save_checkpoint(other, tmp_path / "other.pth")
    images, queries = ["--images", city / "test/database"], city / "test/queries"
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("")
    damaged = tmp_path / "damaged"
    shutil.copytree(base, damaged)
    shard = next((damaged / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1])
    assert torch.is_tensor(other["network"][name])
    assert_mistakes(
        "tools.build_database",
        [
            ([*images], 2, "--output is missing"),
            (["--output", base], 2, "give one of --images, --remove and --check"),
            ([*images, "--output", tmp_path / "new"], 2, "--resume_model: is missing"),
            ([*images, "--output", base, "--resume_model", places], 2, "add images with --append"),
            ([*images, "--append", "--output", tmp_path / "new"], 2, "contains no database (manifest.json) to change"),
            ([*images, "--output", tmp_path / "full", "--resume_model", places], 2, "is not empty"),
            ([*images, "--append", "--output", base, "--resume_model", tmp_path / "other.pth"], 1, "another network"),
            ([*images, "--append", "--output", base, "--index", "flat"], 2, "--index: cannot be changed once"),
            ([*images, "--append", "--output", damaged], 1, "bytes instead of"),
            (["--check", "--output", damaged], 1, "bytes instead of"),
        ],
    )
    assert not (tmp_path / "new").exists()
    assert_mistakes(
        "localize",
        [
            ([queries, "--database", base, "--resume_model", tmp_path / "other.pth"], 1, "another network extracted"),
            ([queries, "--database", base, "--image_size", "32"], 1, "give the same --image_size"),
            ([queries, "--database", damaged], 1, "the database is damaged"),
            ([queries, "--database", base, "--index_options", "k=1"], 2, "--index_options needs --index"),
            ([queries, "--database", city / "test/database", "--resume_model", places, "--index", "stored"], 2,
             "stored is for databases"),
        ],
    )  # fmt: skip
    folders = ["--database_folder", base, "--queries_folder", queries, "--output_folder", tmp_path / "run"]
    assert_mistakes(
        "eval",
        [
            ([*folders, "--resume_model", tmp_path / "other.pth"], 1, "another network extracted"),
            ([*folders, "--index", "milvus", "--pca_dim", "4"], 2, "--pca_dim and --index milvus are in conflict"),
            ([*folders, "--index", "ivf_sq8", "--index_options", "list=3"], 2, "has no option list"),
        ],
    )


def test_tables_need_positions(tmp_path: Path, city: Path):
    folder = tmp_path / "images"
    shutil.copytree(city / "test/database", folder)
    names = sorted(path.name for path in folder.iterdir())
    lines = [f"{name},{45 + number / 100},7" for number, name in enumerate(names)]
    table = folder / "photos.csv"
    table.write_text("\n".join(["path,latitude,longitude", *lines]))
    read = images_of(read_new_images(str(table)))
    assert read["path"].to_pylist() == [str(folder / name) for name in names]
    assert read["latitude"].to_pylist()[1] == 45.01
    table.write_text("\n".join(["path,latitude,longitude", f"{names[0]},,", *lines[1:]]))
    with pytest.raises(Exception, match="has no position; fill in its latitude and longitude"):
        read_new_images(str(table))
