import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from commons.errors import UsageError
from flags import values
from flags.parsers import default_of, default_text, flags_given, make_parser
from flags.settings import fields_of, setting
from tests.helpers import ROOT


def explained(name: str) -> str:
    return f"{name}: see `speed`"


@dataclass(frozen=True)
class Move:
    """Movement."""

    speed: float = setting(1.5, "metres per second, 50 % more than a walk", values.positive_float)
    stops: list[str] = setting(["home", "work"], "names of stops", values.names, metavar="NAME,...")
    vehicle: str = setting("bike", "vehicle", choices=("bike", "tram"), explain=explained, aliases={"on_rails": "tram"})
    helmet: bool = setting(True, "wear a helmet")
    bell: bool | None = setting(None, "ring the bell")
    gears: int = setting(7, "number of gears", values.positive)
    bags: dict = setting({}, "what is carried", values.pairs)


@dataclass(frozen=True)
class Trip:
    """A trip."""

    move: Move = field(default_factory=Move)


@dataclass(frozen=True)
class Places:
    """Settings without sections."""

    start: str = setting("", "where to start", positional=True, metavar="PLACE")
    others: list[str] = setting([], "where to go", positional=True, nargs="*", metavar="PLACE")


def test_a_flag_for_each_field():
    parser = make_parser("trip.py", "Plans a trip.", Trip)
    assert vars(parser.parse_args([])) == {
        "speed": 1.5, "stops": ["home", "work"], "vehicle": "bike", "helmet": True, "bell": None, "gears": 7,
        "bags": {},
    }  # fmt: skip
    flags = ["--speed", "3", "--stops", "a,b", "--on_rails", "--no-helmet", "--bell", "--gears", "1", "--bags", "a=1"]
    assert vars(parser.parse_args(flags)) == {
        "speed": 3.0, "stops": ["a", "b"], "vehicle": "tram", "helmet": False, "bell": True, "gears": 1,
        "bags": {"a": "1"},
    }  # fmt: skip


def test_help_shows_sections_and_the_defaults_that_say_something(capsys: pytest.CaptureFixture[str]):
    parser = make_parser("trip.py", "Plans a trip.", Trip)
    for read in (parser.parse_args, lambda arguments: flags_given(parser, arguments)):
        with pytest.raises(SystemExit) as end:
            read(["--help"])
        assert end.value.code == 0
        text = " ".join(capsys.readouterr().out.split())
        assert text.startswith("usage: python trip.py [-h] [--speed X]") and "Plans a trip. " in text
        assert "movement: --speed X metres per second, 50 % more than a walk (default: 1.5)" in text
        assert "--stops NAME,... names of stops (default: home,work)" in text
        assert "--vehicle {bike,tram} vehicle (default: bike)" in text
        assert "--on_rails the same as --vehicle tram" in text
        assert "--helmet, --no-helmet wear a helmet (default: True)" in text
        assert "--gears N number of gears (default: 7)" in text
        assert "None" not in text and "SUPPRESS" not in text and "{})" not in text


def test_default_text():
    assert [default_text(value) for value in (None, False, [], {}, "")] == [""] * 5
    assert [default_text(value) for value in (0, 0.0, True, "none", 1e-5)] == ["0", "0.0", "True", "none", "1e-05"]
    assert default_text(["a", "b"]) == "a,b"


def test_defaults_of_fields():
    assert [default_of(declared) for declared in fields_of(Trip)][:2] == [1.5, ["home", "work"]]


def test_flags_given_leave_out_defaults_and_keep_the_parsers_own():
    parser = make_parser("trip.py", "", Trip)
    assert flags_given(parser, []) == {}
    given = flags_given(parser, ["--speed", "1.5", "--no-helmet", "--on_rails"])
    assert given == {"speed": 1.5, "helmet": False, "vehicle": "tram"}
    assert parser.parse_args([]).speed == 1.5


def test_mistakes_raise_a_line_that_names_the_program():
    parser = make_parser("trip.py", "", Trip)
    for wrong, words in (
        (["--gears", "0"], r"argument --gears: 0 is out of range, must be 1 or more \(see python trip.py --help\)"),
        (["--vehicle", "car"], "argument --vehicle: invalid choice: 'car'"),
        (["--gear", "3"], r"unrecognized arguments: --gear 3 \(did you mean --gears\?\) \(see python trip.py --help\)"),
        (["--zzzz"], r"unrecognized arguments: --zzzz \(see"),
        (["3"], r"unrecognized arguments: 3 \(see"),
        (["--speed"], "argument --speed: expected one argument"),
    ):
        with pytest.raises(UsageError, match=words):
            parser.parse_args(wrong)


def test_flags_are_not_abbreviated():
    with pytest.raises(UsageError, match="--spee 3"):
        make_parser("trip.py", "", Trip).parse_args(["--spee", "3"])


def test_explanations_are_printed_with_flags(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        make_parser("trip.py", "", Trip).parse_args(["--help_vehicle", "bike"])
    assert end.value.code == 0 and capsys.readouterr().out == "bike: see --speed\n"


def test_positional_arguments():
    parser = make_parser("-m tools.places", "", Places)
    assert vars(parser.parse_args(["a"])) == {"start": "a", "others": []}
    assert vars(parser.parse_args(["a", "b", "c"])) == {"start": "a", "others": ["b", "c"]}
    with pytest.raises(UsageError, match=r"required: PLACE.* \(see python -m tools.places --help\)"):
        parser.parse_args([])


# Prints the packages outside the standard library that a program has imported when it ends.
IMPORTED = """
import atexit, sys
def report():
    packages = {{name.partition(".")[0] for name, module in sys.modules.items()
                if "site-packages" in (getattr(module, "__file__", None) or "")}}
    print("imported:", *sorted(packages), file=sys.stderr)
atexit.register(report)
import runpy
sys.argv = {argv!r}
sys.path.insert(0, ".")
{run}
"""


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["train.py", "--help"], 0),
        (["eval.py", "--help"], 0),
        (["train.py", "--epoch", "3"], 2),
        (["eval.py", "--epochs_num", "3"], 2),
        (["train.py", "--config", "nowhere.yaml"], 2),
    ],
)
def test_help_and_misspelt_flags_import_nothing_heavy(argv: list[str], code: int):
    script = IMPORTED.format(argv=argv, run="runpy.run_path(sys.argv[0], run_name='__main__')")
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    imported = set(ended.stderr.strip().splitlines()[-1].removeprefix("imported:").split())
    assert imported <= {"yaml", "_yaml", "_distutils_hack"}
