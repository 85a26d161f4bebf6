"""Configuration files (--config): flat or in sections, read as a command line that stands before the real one."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import yaml

from commons.errors import UsageError, did_you_mean, first_line
from flags.parsers import flags_given
from flags.settings import RETIRED, fields_of, flag_of, sections_of


def with_config(
    parser: argparse.ArgumentParser,
    settings: type,
    arguments: Sequence[str] | None,
    given: dict[str, Any],
    set_defaults: Callable[[dict[str, Any]], None] = lambda given: None,
) -> tuple[Sequence[str] | None, dict[str, Any]]:
    """Puts the flags of a --config file before those of the command line, which win.

    A value that equals the default does not count as given: config.yaml holds all flags, also those without effect.
    Where the command line chooses another loss than the file, the options of the file's loss do not count; likewise
    for other choices.

    Args:
        parser: parser of the program.
        settings: settings of the program.
        arguments: arguments of the command line; None for sys.argv.
        given: the flags that stand there.
        set_defaults: puts the defaults into the parser that follow from what is given, such as those of a method.

    Returns:
        All arguments, and the flags that are given.

    Raises:
        UsageError: if the file cannot be read, or has a key or a value that is none of the program's.
    """
    if "config" not in given:
        return arguments, given
    file = given["config"]
    config = flattened(read_config(file), settings, parser.prog, file)
    flags = _as_arguments(parser, config, file)
    try:
        parser.parse_args(flags)
    except UsageError as error:
        raise UsageError(f"--config {file}: {error}") from error
    set_defaults(flags_given(parser, flags) | given)
    flags = _as_arguments(parser, _without_other_choices(config, given, parser, settings), file)
    own, values, defaults = flags_given(parser, flags), vars(parser.parse_args(flags)), vars(parser.parse_args([]))
    chosen = {name: value for name, value in own.items() if values[name] not in (defaults[name], [defaults[name]])}
    return [*flags, *(sys.argv[1:] if arguments is None else arguments)], chosen | given


def read_config(file: str) -> dict[str, Any]:
    """Reads a YAML file of settings.

    Raises:
        UsageError: if it is missing or does not map names to values, or a name is given twice.
    """
    try:
        with open(file, encoding="utf-8") as stream:
            config = yaml.load(stream, _Loader)  # a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {file}: cannot be read ({first_line(error)})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", first_line(error))
        raise UsageError(f"--config {file}: is not valid YAML{where} ({problem})") from error
    if not isinstance(config, dict):
        raise UsageError(f"--config {file}: must hold lines of the form `flag: value`")
    return config


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, where YAML keeps the last one."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        names: list[Any] = []
        for key, _ in node.value:
            if key.value in names and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem=f"{key.value} is given twice", problem_mark=key.start_mark)
            names.append(key.value)
        return node


def flattened(config: Mapping[str, Any], settings: type, program: str, file: str) -> dict[str, Any]:
    """Returns the values of a file by flag name.

    A file is flat (`loss: arcface`), or has sections, or mixes both. A section is

    - a group of settings by its name, such as `data`, `network` or `run`, whose keys are flags of this group;
    - a choice, such as `loss: {name: arcface, m: 0.3}`. `name` is the choice; other keys are flags of the same
      group (`optimizer: {name: adamw, lr: 1e-4}`), or else options of the choice.

    Raises:
        UsageError: if a key is no flag of the program, stands in another group than its own, or is given twice.
    """
    reader = _Sections(settings, program, file)
    reader.read(config)
    return reader.values


class _Sections:
    """Takes the sections of a file apart; see `flattened`."""

    def __init__(self, settings: type, program: str, file: str) -> None:
        self.program, self.file = program, file
        self.groups: dict[str, list[str]] = {}
        self.group_of: dict[str, str] = {}
        self.choices: set[str] = set()
        for group, kind in sections_of(settings).items():
            own = [declared for declared in fields(kind) if declared.name not in ("config", "resume_train")]
            self.groups[group] = [declared.name for declared in own]
            self.group_of |= dict.fromkeys(self.groups[group], group)
            self.choices |= {declared.name for declared in own if declared.type is str}
        self.values: dict[str, Any] = {}

    def read(self, config: Mapping[str, Any]) -> None:
        for key, value in config.items():
            self._read_entry(str(key), value, [*self.group_of, *self.groups])

    def _read_entry(self, key: str, value: Any, known: Sequence[str], where: str = "") -> None:
        """Reads one key of a section, or of the file where `where` is empty; `known` are the keys it may be."""
        if key not in known and key in RETIRED and value == RETIRED[key]:
            return
        if key not in known:
            raise self._unknown(key, known, where)
        if isinstance(value, dict) and key in {*self.groups, *self.choices}:
            self._read_section(key, value)
        elif key in self.group_of:
            self._put(key, value)
        elif value is not None:  # an empty section gives nothing
            raise UsageError(f"--config {self.file}: {key} is a section, not a flag; write its flags below it")

    def _read_section(self, section: str, entries: Mapping[str, Any]) -> None:
        members = self.groups[section if section in self.groups else self.group_of[section]]
        options: dict[str, Any] = {}
        for key, value in entries.items():
            key = str(key)
            if key == "name" and section in self.choices:
                self._put(section, value)
            elif section in self.choices and key not in members and f"{section}_options" in members:
                options[key] = value
            else:
                self._read_entry(key, value, members, f"{section}.")
        if options:
            self._put(f"{section}_options", options)

    def _put(self, name: str, value: Any) -> None:
        if name in self.values:
            raise UsageError(f"--config {self.file}: {name} is given twice")
        self.values[name] = value

    def _unknown(self, key: str, known: Sequence[str], where: str) -> UsageError:
        if where and key in self.group_of:
            return UsageError(f"--config {self.file}: {where}{key}: move {key} to the section {self.group_of[key]}")
        if key in RETIRED:
            return UsageError(f"--config {self.file}: {key} is always {RETIRED[key]} now; remove it from the file")
        hint = did_you_mean(key, known) or f" (python {self.program} --help lists the flags)"
        return UsageError(f"--config {self.file}: {where}{key} is not a flag of {self.program}{hint}")


def _without_other_choices(
    config: dict[str, Any], given: dict[str, Any], parser: argparse.ArgumentParser, settings: type
) -> dict[str, Any]:
    """Leaves out of a file what belongs to a choice that the command line replaces."""

    def replaced(choice: str) -> bool:
        return choice in given and given[choice] != config.get(choice, parser.get_default(choice))

    kept = dict(config)
    for declared in fields_of(settings):
        flag, name = flag_of(declared), declared.name
        if any(map(replaced, flag.follows)):
            kept.pop(name, None)
        chosen = given.get(flag.entries_of) if flag.entries_of else None
        if chosen is not None and isinstance(kept.get(name), dict):
            kept[name] = {entry: own for entry, own in kept[name].items() if entry in chosen}
    return kept


def _as_arguments(parser: argparse.ArgumentParser, config: Mapping[str, Any], file: str) -> list[str]:
    """Returns a configuration as a command line, so that its values pass through the checks of the flags."""
    actions: dict[str, argparse.Action] = {}
    for action in parser._actions:
        actions.setdefault(action.dest, action)
    return [argument for key, value in config.items() for argument in _typed(actions[key], value, file)]


def _typed(action: argparse.Action, value: Any, file: str) -> list[str]:
    name = action.option_strings[0]
    if isinstance(action, argparse.BooleanOptionalAction) and value is not None:
        if not isinstance(value, bool):
            raise UsageError(f"--config {file}: {action.dest} must be true or false, not {value}")
        return [action.option_strings[not value]]
    if value is None or value == {} or value == [] == action.default:
        return []
    if isinstance(value, dict):
        pairs = _pairs_of(value)
        return [f"{name}={','.join(pairs)}"] if pairs else []
    if not isinstance(value, list):
        return [f"{name}={value}"]
    if action.nargs is None:
        return [f"{name}={','.join(map(str, value)) or 'none'}"]
    return [name, *map(str, value)] if value else []


def _pairs_of(options: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Returns options as key=value, those of an entry of a list as entry.key=value."""
    pairs = []
    for key, value in options.items():
        if isinstance(value, dict):
            pairs += _pairs_of(value, f"{prefix}{key}.")
        else:
            pairs.append(f"{prefix}{key}={':'.join(map(str, value)) if isinstance(value, list) else value}")
    return pairs
