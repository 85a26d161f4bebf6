from pathlib import Path

import pytest

from commons.errors import PlacewiseError
from flags.tools import parse_location_decoder_settings


def parse(*flags: str):
    return parse_location_decoder_settings([*flags])


def test_options_of_the_encoder_are_filled_in(tmp_path: Path):
    (tmp_path / "a.csv").write_text("lat,lon\n")
    chosen = parse("--region", str(tmp_path / "a.csv"), "--location_encoder", "spherical_harmonics",
                   "--location_encoder_options", "legendre=40", "--output", str(tmp_path / "run"))  # fmt: skip
    assert chosen.encoder.location_encoder_options == {"legendre": 40, "width": 512, "layers": 2, "dim": 256}
    assert parse("--region", str(tmp_path / "a.csv")).encoder.location_encoder_options == {}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "--region is missing: give polygons or a table of positions"),
        (("--region", "nowhere.geojson"), "--region nowhere.geojson: there is no such file"),
        (
            ("--region", "README.md", "--seconds", "3", "--iterations", "3"),
            "--seconds and --iterations are in conflict",
        ),
        (("--region", "README.md", "--location_encoder", "geoclap"), r"geoclap is unknown \(did you mean geoclip\?\)"),
        (("--region", "README.md", "--location_encoder_options", "legendre=3"), "geoclip has no option legendre"),
        (("--region", "README.md", "--optimizer", "muom"), r"muom is unknown \(did you mean muon"),
        (("--region", "README.md", "--output", "README.md/x"), "README.md/x cannot be written"),
    ],
)
def test_mistakes_are_one_line(flags: tuple[str, ...], message: str):
    with pytest.raises(PlacewiseError, match=message):
        parse(*flags)
