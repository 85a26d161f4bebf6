"""A page to browse all prediction sheets of a run: one HTML file that loads nothing from the network."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from commons.files import write_text

TEMPLATE = Path(__file__).with_name("gallery.html")
ORDER = ("wrong", "no positive", "unknown", "right")


def write_gallery(entries: Iterable[Mapping[str, Any]], path: Path, title: str = "Predictions") -> None:
    """Writes a self-contained page that shows the sheets of `entries`, wrong ones first.

    Wrong predictions are ordered from the largest to the smallest `similarity_margin`, right ones from the smallest to
    the largest; then by name.

    Args:
        entries: Records as in predictions.json: `sheet` (its file, relative to the page's folder or absolute),
            `width` and `height` in pixels, `index`, `path`, `heading`, `correct`, `matches` and `nearest_positive`;
            `inliers` is None, or the `sheet`, `width` and `height` of the picture of matching local features.
        path: The HTML file to write. Links to sheets are relative to its folder, so the folder can be moved.
        title: Heading of the page.
    """
    path = Path(path)
    prepared = [
        {
            **entry,
            "source": _relative_url(entry["sheet"], path.parent),
            **_inliers(entry.get("inliers"), path.parent),
            "state": query_state(entry),
            "margin": similarity_margin(entry),
        }
        for entry in entries
    ]
    prepared.sort(key=_sort_key)
    data = json.dumps({"title": title, "entries": prepared}, separators=(",", ":"))
    # "<" occurs only inside strings here. Once it is escaped, no name can end the script element that holds the data.
    page = TEMPLATE.read_text(encoding="utf-8").replace("{{data}}", data.replace("<", "\\u003c"))
    write_text(path, page)


def query_state(entry: Mapping[str, Any]) -> str:
    """Returns "right", "wrong", "no positive" (wrong, and nothing in the database is right) or "unknown"."""
    if entry["correct"] is None:
        return "unknown"
    if entry["correct"]:
        return "right"
    answerable = entry["nearest_positive"] is not None or any(match["correct"] for match in entry["matches"])
    return "wrong" if answerable else "no positive"


def similarity_margin(entry: Mapping[str, Any]) -> float | None:
    """Returns how far the first prediction is above its best rival in cosine similarity.

    The rival of a wrong prediction is the most similar positive. The rival of a right one is the most similar negative
    among the predictions shown. None if either similarity is unknown.
    """
    if entry["correct"] is None:
        return None
    candidates = [match for match in entry["matches"] if match["correct"] is (not entry["correct"])]
    if not entry["correct"] and entry["nearest_positive"] is not None:
        candidates.append(entry["nearest_positive"])
    rivals = [match["similarity"] for match in candidates if match["similarity"] is not None]
    first = entry["matches"][0]["similarity"]
    return first - max(rivals) if rivals and first is not None else None


def _sort_key(entry: Mapping[str, Any]) -> tuple:
    margin = entry["margin"]
    signed = 0.0 if margin is None else margin if entry["correct"] else -margin
    return ORDER.index(entry["state"]), margin is None, signed, Path(entry["path"]).name


def _inliers(picture: Mapping[str, Any] | None, folder: Path) -> dict[str, Any]:
    return {} if picture is None else {"inliers": {**picture, "source": _relative_url(picture["sheet"], folder)}}


def _relative_url(sheet: str | Path, folder: Path) -> str:
    relative = os.path.relpath(sheet, folder) if os.path.isabs(sheet) else sheet
    return quote(os.fsencode(Path(relative).as_posix()))
