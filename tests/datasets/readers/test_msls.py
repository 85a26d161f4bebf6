import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commons.errors import ArgumentError, PlacewiseError
from datasets.geodesy import from_utm
from datasets.layouts import evaluation_folders
from datasets.readers.msls import Msls
from datasets.test_dataset import TestSet, read_test_sets
from tasks.exports import save_predictions
from tasks.measuring import Evaluation
from tasks.sequences import SequenceSearch
from tasks.test_time import TestTime
from tests.conftest import EAST, NORTH, sf_name, write_picture
from tests.datasets.readers.city import Street, measured, names_of, read, recalls_like

SUBTASKS = ("all", "s2w", "w2s", "o2n", "n2o", "d2n", "n2d")
ZONES = {"sf": 10, "cph": 33, "miami": 17}


def write_table(path: Path, columns: dict[str, list]) -> None:
    """A CSV file with a first column without a name, as pandas writes it."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["", *columns])
        writer.writerows([number, *row] for number, row in enumerate(zip(*columns.values(), strict=True)))


def write_part(folder: Path, city: str, keys: list[str], utm: np.ndarray, panos: list[int], **tasks: list[int]) -> None:
    """Writes the four tables of a city's queries or database; `panos` and `tasks` name rows."""
    rows = range(len(keys))
    latitude, longitude = from_utm(utm[:, 0], utm[:, 1], np.full(len(keys), ZONES[city]))
    write_table(folder / "raw.csv", {
        "key": keys, "lon": longitude, "lat": latitude, "ca": [10.5] * len(keys),
        "captured_at": ["2017-05-30"] * len(keys), "pano": [row in panos for row in rows],
    })  # fmt: skip
    write_table(folder / "postprocessed.csv", {
        "key": keys, "easting": utm[:, 0], "northing": utm[:, 1], "unique_cluster": [0] * len(keys),
        "night": [False] * len(keys), "control_panel": [False] * len(keys), "view_direction": ["Forward"] * len(keys),
    })  # fmt: skip
    write_table(folder / "seq_info.csv", {
        "key": keys, "sequence_key": ["s"] * len(keys), "frame_number": list(rows),
    })  # fmt: skip
    own = {task: [row in tasks.get(task, rows) for row in rows] for task in SUBTASKS}
    write_table(folder / "subtask_index.csv", own)


def write_city(root: Path, city: str, street: Street, panos: tuple[int, ...] = (), **tasks: list[int]) -> None:
    """Writes the street as a city. In a city of another zone it has the same coordinates, of other places."""
    split = "test" if city == "miami" else "train_val"
    for part, what in (("database", "database"), ("queries", "query")):
        folder = root / split / city / what
        (folder / "images").mkdir(parents=True)
        keys = [f"{city}-{what}-{number}_k" for number in range(len(street.paths[part]))]
        for key, path in zip(keys, street.paths[part], strict=True):
            shutil.copy(path, folder / "images" / f"{key}.jpg")
        own = {} if what == "database" else tasks
        write_part(folder, city, keys, street.utm[part], list(panos) if what == "query" else [], **own)


def test_a_city_is_like_its_twin(tmp_path: Path, street: Street, twin: TestSet):
    write_city(tmp_path / "msls", "sf", street)
    (found,) = read(tmp_path / "msls", protocol="val-all")
    assert found.name == "msls (val-all)"
    results = recalls_like(found, twin)
    assert results["protocol"] == (
        "val-all: sf, queries without a positive kept, panoramas left out, each city searched on its own"
    )
    assert found.queries.heading[0] == 10.5 and found.queries.timestamp[0].as_py() == "2017-05-30"


def test_protocols(tmp_path: Path, street: Street):
    """The usual one takes the images of subtask_index.csv, drops panoramas, then queries without a positive."""
    write_city(tmp_path / "msls", "sf", street, panos=(1,), all=[0, 1, 2, 4, 5, 6], d2n=[3, 6])
    write_city(tmp_path / "msls", "miami", street, panos=(0,))

    def keys(protocol: str | None) -> list[str]:
        (found,) = read(tmp_path / "msls", protocol=protocol)
        return [Path(name).stem.removesuffix("_k")[-1] for name in names_of(found.queries)]

    assert keys(None) == keys("val") == ["0", "2", "4", "5"]
    assert keys("val-all") == ["0", "2", "3", "4", "5", "6"]
    assert keys("val-d2n") == ["3"]
    assert keys("test") == ["1", "2", "3", "4", "5"]
    with pytest.raises(ArgumentError, match="`protocol`: train: sets of the layout msls have val, val-all, val-s2w"):
        keys("train")


def test_no_hit_across_cities(tmp_path: Path, street: Street):
    """Two cities with the same images, whose databases lack every other one: each is answered as if it were alone."""
    whole = tmp_path / "msls"
    for city in ("cph", "sf"):
        write_city(whole, city, street)
        write_city(tmp_path / city, city, street)
    (both,) = read(whole, protocol="val-all")
    assert both.groups.names == ("cph", "sf")
    found = measured(both)
    for number, city in enumerate(both.groups.names):
        own = both.groups.queries == number
        assert set(both.groups.database[found.predictions[own]].ravel().tolist()) == {number}
        (alone,) = read(tmp_path / city, protocol="val-all")
        expected = measured(alone)
        assert np.array_equal(found.predictions[own] - 9 * number, expected.predictions)
        assert found.results["R@1"] == expected.results["R@1"]
    assert (found.results["queries"], found.results["queries_without_positives"]) == (14, 2)
    tied = measured(TestSet("pooled", both.database, both.queries)).results["queries_decided_by_ties"]
    assert tied > 0 == found.results["queries_decided_by_ties"]


def write_drive(root: Path, city: str, breaks: tuple[int, ...] = (), **tasks: list[int]) -> None:
    """Writes a street of 12 images 10 m apart and queries beside them, all of one sequence with the same key in every
    city; after the frames `breaks` of the queries one is missing."""
    draw, utm = np.random.default_rng(2), EAST + 10.0 * np.arange(12)
    for what, shift in (("database", 0), ("query", 2)):
        folder = root / "train_val" / city / what
        keys = [f"{city}{what}{number:02d}" for number in range(12)]
        for number, key in enumerate(keys):
            write_picture(folder / "images" / f"{key}.jpg", number, draw)
        places = np.stack([utm + shift, np.full(12, NORTH)], axis=1)
        write_part(folder, city, keys, places, [], **(tasks if what == "query" else {}))
        frames = np.arange(12) + sum(np.arange(12) > last for last in breaks) * (what == "query")
        columns = {"key": keys, "sequence_key": ["s"] * 12, "frame_number": frames.tolist()}
        write_table(folder / "seq_info.csv", columns)


def sequences(root: Path, chosen: SequenceSearch, protocol: str) -> tuple[TestSet, Evaluation]:
    folders = evaluation_folders([str(root)], None, [], None, None, protocol)
    (test_set,) = read_test_sets([replace(own, sequences=True) for own in folders])
    return test_set, measured(test_set, test_time=TestTime(sequences=chosen))


@pytest.mark.parametrize("method", ["mean", "seqmatch"])
def test_sequences_of_two_cities(tmp_path: Path, method: str):
    """Windows end at a gap and with their city, and each city is searched as if it were alone."""
    chosen = SequenceSearch(3, "seq2seq", method)
    for root in (tmp_path / "msls", tmp_path / "cph"):
        write_drive(root, "cph", breaks=(5,))
    for root in (tmp_path / "msls", tmp_path / "sf"):
        write_drive(root, "sf")
    both, found = sequences(tmp_path / "msls", chosen, "val-all")
    pair = found.sequences
    assert (found.results["queries"], found.results["database"]) == (4 + 4 + 10, 20)
    assert found.results["sequences"]["gaps"] == {"database": 0, "queries": 1}
    queries, database = pair.query_windows.rows, pair.database_windows.rows
    assert queries[:5].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [6, 7, 8]]
    for side, rows in (("queries", queries), ("database", database)):
        cities = getattr(both.groups, side)[rows]
        assert (cities == cities[:, :1]).all() and (np.diff(rows, axis=1) == 1).all()
    start = {"cph": (0, 0), "sf": (8, 10)}
    for city, (first, base) in start.items():
        _, alone = sequences(tmp_path / city, chosen, "val-all")
        own = slice(first, first + len(alone.queries))
        assert np.array_equal(found.predictions[own] - base, alone.predictions)
        assert np.allclose(found.similarities[own], alone.similarities, atol=1e-5)
        assert np.array_equal(found.distances[own], alone.distances)


def test_a_protocol_chooses_sequences_by_their_middle_frames(tmp_path: Path):
    write_drive(tmp_path / "msls", "sf", all=[0, 4, 5, 9])
    (single,) = read(tmp_path / "msls", protocol="val")
    assert len(single.queries) == 4 and single.middles is None
    test_set, found = sequences(tmp_path / "msls", SequenceSearch(3), "val")
    assert len(test_set.queries) == 12
    assert found.sequences.query_windows.rows.tolist() == [[3, 4, 5], [4, 5, 6], [8, 9, 10]]
    assert [row["step"] for row in found.results["test_time"]] == [
        "plain, all frames as single images", "+ sequences of 3, seq2seq by mean"
    ]  # fmt: skip


def test_databases_of_different_sizes(tmp_path: Path, street: Street):
    """Where a city has fewer images than predictions are kept, its last one is repeated and written once."""
    write_city(tmp_path / "msls", "cph", street)
    write_city(tmp_path / "msls", "sf", street)
    folder = tmp_path / "msls/train_val/sf/database"
    keys = [f"sf-database-{number}_k" for number in range(3)]
    write_part(folder, "sf", keys, street.utm["database"][:3], [])
    (both,) = read(tmp_path / "msls", protocol="val-all")
    found = measured(both)
    assert found.predictions.shape == (14, 9)
    assert (found.predictions[7:, 2:] == found.predictions[7:, 2:3]).all()
    assert both.smallest_database == 3
    save_predictions(found, ["msls"], tmp_path, 20)
    lines = [line.split() for line in (tmp_path / "msls_predictions.csv").read_text().splitlines()]
    assert [len(line) for line in lines] == [10] * 7 + [4] * 7
    assert lines[7][0] == "sf-query-0_k" and set(lines[7][1:]) == set(keys)


def test_a_test_city_without_positions_can_only_be_predicted(tmp_path: Path, street: Street):
    write_city(tmp_path / "msls", "miami", street)
    for part in ("query", "database"):
        for name in ("raw", "postprocessed"):
            (tmp_path / f"msls/test/miami/{part}/{name}.csv").unlink()
    with pytest.raises(PlacewiseError, match="test/miami/database: has no raw.csv and postprocessed.csv: predict with"):
        read(tmp_path / "msls")
    (found,) = read(tmp_path / "msls", labelled=False)
    results = measured(found).results
    assert (results["queries"], results["layout"]) == (7, "msls") and "R@1" not in results


def test_damaged_tables(tmp_path: Path, street: Street):
    write_city(tmp_path / "msls", "sf", street)
    folder = tmp_path / "msls/train_val/sf/query"
    good = (folder / "raw.csv").read_text()

    def refused(words: str) -> None:
        with pytest.raises(PlacewiseError, match=words):
            read(tmp_path / "msls")

    (folder / "raw.csv").write_text("\n".join(good.splitlines()[:-1]) + "\n")
    refused("raw.csv: has 6 rows, but seq_info.csv has 7")
    (folder / "raw.csv").write_text(good.replace("pano", "panorama"))
    refused("raw.csv: has no column pano, only key, lon, lat")
    (folder / "raw.csv").write_text(good)
    (folder / "images" / "sf-query-3_k.jpg").unlink()
    refused(r"lists train_val/sf/query/images/sf-query-3_k.jpg, which is not in .*msls \(1 of 6 images\)")
    (folder / "seq_info.csv").unlink()
    refused("seq_info.csv: cannot be read")


def test_a_usual_data_set_is_not_taken_for_it(tmp_path: Path):
    write_picture(tmp_path / "test/database" / sf_name(EAST, NORTH), 0, np.random.default_rng(0))
    assert not Msls.recognises(tmp_path)
