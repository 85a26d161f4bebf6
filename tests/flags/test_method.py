import pytest

from flags.method import method_defaults
from methods import METHODS
from parser import parse_train_settings
from tests.flags.parsing import train


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        (["--help_method", "gsv"], ["2210.10239", "  images_per_place=4 ", "Its defaults: --loss multi_similarity"]),
        (["--help_method", "eigenplaces"], ["2308.10832", "  lambda_lat=1.0 ", "--loss_options s=100"]),
        (["--help_loss", "arcface"], ["1801.07698", "  m=0.5 "]),
        (["--help_miner", "semihard"], ["1503.03832", "  margin=0.1 "]),
        (["--help_self_supervised_loss", "vicreg"], ["2105.04906", "  width="]),
        (["--help_adaptation", "fourier"], ["2004.05498", "  beta="]),
    ],
)
def test_help_of_methods_losses_and_miners(flag: list[str], words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        train(*flag)
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in words), printed


def test_method_defaults_as_they_are_typed():
    assert method_defaults({"M": 15, "loss": "cosface", "loss_options": {"s": "100", "m": "0.4"}}) == [
        "--M 15", "--loss cosface", "--loss_options s=100,m=0.4",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_defaults_of_a_method_are_flags_that_it_accepts(method: str):
    own = {flag: value for flag, value in METHODS[method].defaults.items() if flag not in METHODS[method].conflicts}
    typed = [part for flag in method_defaults(own) for part in flag.split(" ")]
    source = ["--polygons", "regions/usa.geojson"] if method == "location_decoder" else ["--dataset_folder", "x"]
    given = [*source, "--method", method]
    assert parse_train_settings([*given, *typed]) == parse_train_settings(given)
