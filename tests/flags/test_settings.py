from dataclasses import FrozenInstanceError, dataclass, field, fields, is_dataclass

import pytest

from flags import tools
from flags.settings import build, fields_of, flag_of, flat, has_sections, names_where, sections_of, setting, title
from parser import EvalSettings, TrainSettings

PROGRAMS = [
    TrainSettings,
    EvalSettings,
    *(kind for name, kind in vars(tools).items() if name.endswith("Settings")),
]


@dataclass(frozen=True)
class Ship:
    """Ship of the line."""

    guns: int = setting(74, "number of guns", int, on_resume=True)
    sails: list[str] = setting(["main"], "names of sails")


@dataclass(frozen=True)
class Crew:
    """Crew"""

    sailors: int = setting(600, "number of sailors", int, kept=False)


@dataclass(frozen=True)
class Fleet:
    """Two sections."""

    ship: Ship = field(default_factory=Ship)
    crew: Crew = field(default_factory=Crew)


def test_sections_and_fields():
    assert has_sections(Fleet) and not has_sections(Ship)
    assert sections_of(Fleet) == {"ship": Ship, "crew": Crew}
    assert [declared.name for declared in fields_of(Fleet)] == ["guns", "sails", "sailors"]
    assert [declared.name for declared in fields_of(Crew)] == ["sailors"]
    assert flag_of(fields(Ship)[0]).help == "number of guns"
    assert title(Ship) == "ship of the line" and title(Crew) == "crew"


def test_names_where():
    assert names_where(Fleet, lambda flag: flag.on_resume) == {"guns"}
    assert names_where(Fleet, lambda flag: not flag.kept) == {"sailors"}
    assert names_where(Ship, lambda flag: flag.kept) == {"guns", "sails"}


def test_build_puts_values_into_their_sections():
    fleet = build(Fleet, {"guns": 100, "sailors": 850, "unknown": 1})
    assert fleet == Fleet(Ship(100, ["main"]), Crew(850))
    assert build(Ship, {"sails": []}) == Ship(74, [])


def test_flat_is_the_inverse_of_build():
    values = {"guns": 64, "sails": ["fore", "mizzen"], "sailors": 500}
    assert flat(build(Fleet, values)) == values
    assert build(Fleet, flat(Fleet())) == Fleet()


def test_lists_of_defaults_are_not_shared():
    first, second = Ship(), Ship()
    first.sails.append("fore")
    assert second.sails == ["main"] and Ship().sails == ["main"]


def test_settings_are_frozen():
    for settings in PROGRAMS:
        parts = [settings, *sections_of(settings).values()] if has_sections(settings) else [settings]
        for part in parts:
            assert is_dataclass(part) and part.__dataclass_params__.frozen, part
    with pytest.raises(FrozenInstanceError):
        TrainSettings().training.batch_size = 3
    with pytest.raises(FrozenInstanceError):
        TrainSettings().network = None


@pytest.mark.parametrize("settings", PROGRAMS, ids=lambda settings: settings.__name__)
def test_every_flag_has_a_name_of_its_own_a_help_text_and_a_reader(settings: type):
    declared = list(fields_of(settings))
    names = [own.name for own in declared]
    assert len(set(names)) == len(names)
    for own in declared:
        flag = flag_of(own)
        assert len(flag.help) > 5 and not flag.help.endswith("."), own.name
        if own.type in (int, float, int | None, list[int], list[float], dict):
            assert flag.parse is not None, f"{own.name} would be text"


@pytest.mark.parametrize("settings", [TrainSettings, EvalSettings])
def test_what_flags_name_exists(settings: type):
    names = {declared.name for declared in fields_of(settings)}
    for declared in fields_of(settings):
        flag = flag_of(declared)
        assert names.issuperset(flag.follows), declared.name
        assert flag.entries_of is None or flag.entries_of in names


@pytest.mark.parametrize("settings", [TrainSettings, EvalSettings])
def test_default_settings_survive_flattening(settings: type):
    assert build(settings, flat(settings())) == settings()
