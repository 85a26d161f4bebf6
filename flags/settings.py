"""Settings are dataclasses: a field is a flag, with its type, default, help and all that programs must know of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any

# Flags of earlier versions with the value that they would have today; configuration files may still hold them.
RETIRED = {"color_jitter": "exact"}


@dataclass(frozen=True)
class Flag:
    """What a field of a settings class says besides its name, type and default.

    Attributes:
        help: its line in --help and docs/flags.md.
        parse: text to value; raises argparse.ArgumentTypeError. None for text, and for fields of type bool.
        choices: the values it may have, if there are few.
        metavar, nargs, const, aliases: as argparse takes them; an alias is another flag that sets one value.
        positional: whether it stands without `--name`.
        explain: text that `--help_<explain_name> NAME` prints of an entry of the registry it chooses from.
        follows: the choices whose options these are. Options in a file do not count if the command line chooses
            another entry.
        entries_of: the list of names whose options these are, by name.
        on_resume: whether it may stand beside --resume_train.
        changes_result: whether networks or figures can depend on it; `tools.compare` compares those that can.
        kept: whether config.yaml holds it.
    """

    help: str
    parse: Callable[[str], Any] | None = None
    choices: Sequence[str] | None = None
    metavar: str | None = None
    nargs: str | None = None
    const: Any = None
    aliases: Mapping[str, Any] | None = None
    positional: bool = False
    explain: Callable[[str], str] | None = None
    explain_name: str | None = None
    follows: tuple[str, ...] = ()
    entries_of: str | None = None
    on_resume: bool = False
    changes_result: bool = True
    kept: bool = True


def setting(default: Any, help: str, parse: Callable[[str], Any] | None = None, **facts: Any) -> Any:
    """Declares a field of a settings class; `facts` are attributes of `Flag`."""
    metadata = {"flag": Flag(help, parse, **facts)}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def flag_of(declared: Field) -> Flag:
    """Returns what a field of a settings class says."""
    return declared.metadata["flag"]


def has_sections(settings: type) -> bool:
    """Whether a settings class holds other ones instead of flags."""
    return all(is_dataclass(declared.type) for declared in fields(settings))


def sections_of(settings: type) -> dict[str, type]:
    """Returns the settings classes that a program's settings consist of, by the names of their sections."""
    return {section.name: section.type for section in fields(settings)}


def fields_of(settings: type) -> Iterator[Field]:
    """Yields the fields of all sections of a program's settings, or of a single section."""
    for section in sections_of(settings).values() if has_sections(settings) else [settings]:
        yield from fields(section)


def names_where(settings: type, holds: Callable[[Flag], bool]) -> set[str]:
    """Returns the names of the flags for which `holds` is true."""
    return {declared.name for declared in fields_of(settings) if holds(flag_of(declared))}


def build(settings: type, values: Mapping[str, Any]) -> Any:
    """Builds a program's settings from values by flag name; other names are ignored, missing ones get defaults."""
    if has_sections(settings):
        return settings(**{name: build(kind, values) for name, kind in sections_of(settings).items()})
    return settings(**{own.name: values[own.name] for own in fields(settings) if own.name in values})


def flat(settings: Any) -> dict[str, Any]:
    """Returns the values of all sections by flag name."""
    parts = [getattr(settings, section.name) for section in fields(settings)]
    return {declared.name: getattr(part, declared.name) for part in parts for declared in fields(part)}


def is_for(section: type, task: str) -> bool:
    """Whether a section is for a task: one that names no `tasks` is for all."""
    return task in getattr(section, "tasks", (task,))


def title(section: type) -> str:
    """Returns the heading of a section in --help: its docstring's first line."""
    line = (section.__doc__ or "").strip().splitlines()[0].rstrip(".")
    return line[:1].lower() + line[1:]
