"""Downloads data sets: python -m tools.download NAME; without a name, lists them."""

from pathlib import Path

from commons.errors import run
from datasets.download.disk import size_text
from datasets.download.installing import install
from datasets.download.sources import COLLECTED, ON_REQUEST, READ, SOURCES
from datasets.listing import find_images
from flags.tools import DownloadSettings, parse_download_settings


def listing() -> str:
    """Returns the list of data sets with their addresses."""
    width = max(map(len, (*SOURCES, *ON_REQUEST)))
    lines = [f"Data sets with a public address (read {READ} in {COLLECTED}):", ""]
    for name, source in SOURCES.items():
        size = f" ({size_text(source.size)})" if source.size else ""
        lines += [f"  {name:{width}}  {source.about}{size}", f"  {'':{width}}  {source.address}"]
    lines += ["", "Data sets that their authors give on request:", ""]
    for name, wanted in ON_REQUEST.items():
        lines += [f"  {name:{width}}  {wanted.about}", f"  {'':{width}}  {wanted.page}"]
    return "\n".join([*lines, "", "Download one: python -m tools.download NAME --folder DIR"])


def on_request(name: str, folder: Path) -> str:
    """Returns instructions for a data set that its authors give on request."""
    wanted, target = ON_REQUEST[name], str(folder / name)
    return "\n".join(
        [
            f"{wanted.about} is given on request.",
            f"1. Ask for it: {wanted.page}",
            f"2. Then {wanted.put.replace('{}', target)}.",
            f"3. Run: python {wanted.use.replace('{}', target)}",
        ]
    )


def main(settings: DownloadSettings | None = None) -> None:
    """Entry point."""
    settings = settings or parse_download_settings()
    folder = Path(settings.folder)
    if settings.name is None:
        print(listing())
    elif settings.name in ON_REQUEST:
        print(on_request(settings.name, folder))
    else:
        source = SOURCES[settings.name]
        target = install(settings.name, source, folder)
        print(f"{target}: {len(find_images(target).names):,} images")
        print(f"Use it: python {source.use.replace('{}', str(target))}")


if __name__ == "__main__":
    run(main)
