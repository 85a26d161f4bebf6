import json
import re
from pathlib import Path
from typing import Any

import pytest

from reports.gallery import query_state, similarity_margin, write_gallery


def make_match(correct: bool | None, similarity: float | None = 0.5) -> dict[str, Any]:
    return {"path": "d.jpg", "correct": correct, "distance": 3.0, "similarity": similarity, "heading": None}


def make_entry(index: int, *matches: dict[str, Any], positive: dict[str, Any] | None = None, **changes) -> dict:
    entry = {
        "index": index,
        "sheet": f"{index:04d}.jpg",
        "width": 300,
        "height": 100,
        "path": f"q{index}.jpg",
        "heading": 12.0,
        "correct": matches[0]["correct"] if matches else None,
        "matches": list(matches),
        "nearest_positive": positive,
    }
    return entry | changes


def read_entries(path: Path) -> list[dict[str, Any]]:
    island = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.S)
    assert len(island) == 1
    return json.loads(island[0])["entries"]


def test_page_holds_all_entries_unchanged(tmp_path):
    entries = [make_entry(0, make_match(True)), make_entry(1, make_match(None, None))]
    write_gallery(iter(entries), tmp_path / "index.html")
    extra = {"source", "state", "margin"}
    found = [
        {key: value for key, value in entry.items() if key not in extra}
        for entry in read_entries(tmp_path / "index.html")
    ]
    assert sorted(found, key=lambda entry: entry["index"]) == entries


def test_page_is_self_contained(tmp_path):
    write_gallery([make_entry(0, make_match(True))], tmp_path / "index.html", title="</script><b>x")
    page = (tmp_path / "index.html").read_text("utf-8")
    assert not re.search(r"https?:|//[a-z]+\.|<link|@import|src=\"|\{\{", page)
    assert page.count("</script>") == 2 and "<b>" not in page


@pytest.mark.parametrize(
    "name",
    ["</script><script>alert(1)</script>.jpg", "<!--<script>.jpg", "a'b\"c&d e#f%41.jpg", "東京 ü.jpg", "\udcff.jpg"],
)
def test_awkward_names_survive_and_cannot_leave_the_data(tmp_path, name):
    write_gallery([make_entry(0, make_match(True), path=f"/data/{name}")], tmp_path / "index.html")
    assert read_entries(tmp_path / "index.html")[0]["path"] == f"/data/{name}"
    assert (tmp_path / "index.html").read_text("utf-8").count("<script") == 2


@pytest.mark.parametrize(
    ("sheet", "source"),
    [
        ("0001.jpg", "0001.jpg"),
        ("a b#c%d?.jpg", "a%20b%23c%25d%3F.jpg"),
        ("sub/@ü'\".jpg", "sub/%40%C3%BC%27%22.jpg"),
        ("c:d.jpg", "c%3Ad.jpg"),
        ("\udcff.jpg", "%FF.jpg"),
    ],
)
def test_links_are_quoted(tmp_path, sheet, source):
    write_gallery([make_entry(0, sheet=sheet)], tmp_path / "index.html")
    assert read_entries(tmp_path / "index.html")[0]["source"] == source


def test_absolute_sheets_are_linked_relative_to_the_page(tmp_path):
    write_gallery([make_entry(0, sheet=str(tmp_path / "sheets" / "0.jpg"))], tmp_path / "pages" / "index.html")
    assert read_entries(tmp_path / "pages" / "index.html")[0]["source"] == "../sheets/0.jpg"


def test_states():
    wrong, right = make_match(False), make_match(True)
    assert query_state(make_entry(0, right, wrong)) == "right"
    assert query_state(make_entry(0, wrong, right)) == "wrong"
    assert query_state(make_entry(0, wrong, positive=right)) == "wrong"
    assert query_state(make_entry(0, wrong, wrong)) == "no positive"
    assert query_state(make_entry(0, make_match(None))) == query_state(make_entry(0)) == "unknown"


def test_margin_is_to_the_best_rival():
    entry = make_entry(0, make_match(False, 0.75), make_match(False, 0.7), make_match(True, 0.5))
    assert similarity_margin(entry) == 0.25
    assert similarity_margin(entry | {"nearest_positive": make_match(True, 0.625)}) == 0.125
    entry = make_entry(0, make_match(True, 0.75), make_match(True, 0.7), make_match(False, 0.5))
    assert similarity_margin(entry) == 0.25
    assert similarity_margin(make_entry(0, make_match(True, 0.75), make_match(True, 0.7))) is None
    assert similarity_margin(make_entry(0, make_match(True, None), make_match(False, 0.5))) is None
    assert similarity_margin(make_entry(0, make_match(None), make_match(False))) is None


def test_wrong_ones_come_first_then_by_margin_then_by_name(tmp_path):
    entries = [
        make_entry(0, make_match(True, 0.9), make_match(False, 0.2)),
        make_entry(1, make_match(True, 0.9), make_match(False, 0.8)),
        make_entry(2, make_match(None)),
        make_entry(3, make_match(False), path="z.jpg"),
        make_entry(4, make_match(False), path="a.jpg"),
        make_entry(5, make_match(False, 0.6), make_match(True, 0.5)),
        make_entry(6, make_match(False, 0.6), positive=make_match(True, 0.1)),
        make_entry(7, make_match(False, None), positive=make_match(True, None)),
    ]
    write_gallery(entries, tmp_path / "index.html")
    assert [entry["index"] for entry in read_entries(tmp_path / "index.html")] == [6, 5, 7, 4, 3, 2, 1, 0]
