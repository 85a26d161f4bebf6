import base64
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from reports.geolocation import pages
from reports.geolocation.pages import html_table, script_data, thumbnails, write_page


def test_parts_that_look_like_placeholders_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "page.css").write_text("css")
    (tmp_path / "t.html").write_text("<{{style}}> {{a}} {{b}} {{a}}")
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    write_page(tmp_path / "page.html", "t.html", a="{{b}}", b="1")
    assert (tmp_path / "page.html").read_text() == "<css> {{b}} 1 {{b}}"


def test_data_cannot_end_its_element_and_holds_no_nan():
    assert script_data({"a": "</script><!--"}) == '{"a":"\\u003c/script>\\u003c!--"}'
    with pytest.raises(ValueError):
        script_data(float("nan"))


def test_tables_escape():
    table = html_table(["a", "b"], [["<b>", "1"]])
    assert "<td>&lt;b&gt;</td><td class=n>1</td>" in table and "<th>a</th><th class=n>b</th>" in table


def test_thumbnails_hold_no_metadata(tmp_path: Path):
    """A position in EXIF must not travel with the page."""
    exif = Image.Exif()
    exif[0x010E] = "SECRET"
    Image.new("RGB", (400, 300)).save(tmp_path / "a.jpg", exif=exif)
    assert b"SECRET" in (tmp_path / "a.jpg").read_bytes()
    made = thumbnails([tmp_path / "none.jpg", tmp_path / "a.jpg"], 100, 10**6)
    assert list(made) == [1]
    data = base64.b64decode(made[1].removeprefix("data:image/jpeg;base64,"))
    assert b"SECRET" not in data and Image.open(BytesIO(data)).size == (100, 75)
