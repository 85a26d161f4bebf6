"""Pages that stand alone: one HTML file each, whose security policy lets it ask no host."""

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from commons.files import write_text
from reports.tiles import load_photo

FOLDER = Path(__file__).parent
JPEG_QUALITY = 72


def write_page(path: str | Path, template: str, **parts: str) -> None:
    """Fills a template of this folder and writes it, atomically.

    Args:
        path: file to write.
        template: name of the file with {{name}} where a part goes; {{style}} is page.css.
        parts: HTML, scripts or data by name.
    """
    page = (FOLDER / template).read_text(encoding="utf-8")
    pieces = page.replace("{{style}}", (FOLDER / "page.css").read_text(encoding="utf-8")).split("{{")
    # Parts are put between pieces of the template, so that what looks like a placeholder within a part stays.
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    write_text(path, "".join(filled))


def script_data(data: Any) -> str:
    """Returns data as JSON that no name within it can end the script element around."""
    # "<" occurs only inside strings.
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """Returns a table of plain texts; columns after the first `text_columns` are aligned to the right."""

    def line(tag: str, row: Sequence[str]) -> str:
        texts = (
            f"<{tag}{' class=n' if column >= text_columns else ''}>{escape(text)}</{tag}>"
            for column, text in enumerate(row)
        )
        return f"<tr>{''.join(texts)}</tr>"

    body = "\n".join(line("td", row) for row in rows)
    return f"<div class=scroll><table><thead>{line('th', header)}</thead><tbody>\n{body}\n</tbody></table></div>"


def jpeg_url(picture: Image.Image) -> str:
    """Returns a picture as the address of a JPEG that holds its own data, without any metadata of the photo."""
    sink = BytesIO()
    picture.convert("RGB").save(sink, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(sink.getvalue()).decode()


def png_url(path: Path) -> str:
    """Returns a PNG file as an address that holds its data."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def thumbnails(paths: Sequence[Path], side: int, budget: int) -> dict[int, str]:
    """Makes small JPEGs of photos, the first ones first, until they take `budget` characters.

    Args:
        paths: files; unreadable ones get none.
        side: the longer side in pixels, at most.
        budget: characters.

    Returns:
        Addresses that hold their data, by position in `paths`.
    """
    made: dict[int, str] = {}
    for position, path in enumerate(paths):
        photo = load_photo(path, side)
        if photo is None:
            continue
        address = jpeg_url(photo)
        budget -= len(address)
        if budget < 0:
            break
        made[position] = address
    return made
