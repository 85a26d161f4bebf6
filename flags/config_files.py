"""Configuration files (--config), read as a command line that stands before the real one."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from commons.errors import UsageError
from commons.runs import read_config
from flags.parsers import flags_given

# Options in a file are those of its own choice: another one on the command line has other ones.
FOLLOWING = {
    "method": ("method_options",),
    "loss": ("loss_options", "miner", "miner_options"),
    "miner": ("miner_options",),
    "aggregation": ("aggregation_options",),
    "optimizer": ("optimizer_options",),
    "scheduler": ("milestones", "lr_gamma", "plateau_patience"),
    "self_supervised_loss": ("self_supervised_loss_options",),
    "train_all_layers": ("num_trainable_blocks", "freeze"),
    "num_trainable_blocks": ("train_all_layers", "freeze"),
    "freeze": ("train_all_layers", "num_trainable_blocks"),
}
# Lists of choices, and the options of each by its name.
LISTS = {"augmentations": "augmentation_options", "adaptation": "adaptation_options"}


def with_config(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    given: dict,
    set_defaults: Callable[[dict], None] = lambda given: None,
) -> tuple[Sequence[str] | None, dict]:
    """Puts the flags of a --config file before those of the command line, which win; returns them and what is given.

    What a file says as the default has it is not given: config.yaml holds all flags, also those without effect. Where
    the command line chooses another loss than the file, the file's options of its loss do not count, and so on.
    `set_defaults` puts the defaults into the parser that follow from what is given, those of a method.
    """
    if "config" not in given:
        return arguments, given
    config = read_config(given["config"])
    flags = _config_flags(parser, config, given["config"])
    try:
        parser.parse_args(flags)
    except UsageError as error:
        raise UsageError(f"--config {given['config']}: {error}") from error
    set_defaults(flags_given(parser, flags) | given)
    flags = _config_flags(parser, _without_other_choices(config, given, parser), given["config"])
    own, values, defaults = flags_given(parser, flags), vars(parser.parse_args(flags)), vars(parser.parse_args([]))
    chosen = {name: value for name, value in own.items() if values[name] != defaults[name]}
    return [*flags, *(sys.argv[1:] if arguments is None else arguments)], chosen | given


def _without_other_choices(config: dict, given: dict, parser: argparse.ArgumentParser) -> dict:
    """Leaves out of a file what goes with a choice that the command line replaces."""
    others = [name for name in FOLLOWING if name in given and given[name] != config.get(name, parser.get_default(name))]
    stale = {option for name in others for option in FOLLOWING[name]}
    config = {name: value for name, value in config.items() if name not in stale}
    for name, options in LISTS.items():
        if name in given and isinstance(config.get(options), dict):
            config[options] = {choice: own for choice, own in config[options].items() if choice in given[name]}
    return config


def _config_flags(parser: argparse.ArgumentParser, config: dict, file: str) -> list[str]:
    """A configuration file as a command line, so that its values go through the checks of the flags."""
    known: dict[str, argparse.Action] = {}
    for action in parser._actions:
        if action.dest not in ("help", "config", "resume_train"):
            known.setdefault(action.dest, action)
    flags = []
    for key, value in config.items():
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"python {parser.prog} --help lists what there is"
            raise UsageError(f"--config {file}: {key} is no flag of {parser.prog} ({hint})")
        flags += _as_flags(known[key], value, file)
    return flags


def _as_flags(action: argparse.Action, value: object, file: str) -> list[str]:
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


def _pairs_of(options: Mapping[str, object], prefix: str = "") -> list[str]:
    """Options as key=value, those of an entry's own as entry.key=value."""
    pairs = []
    for key, value in options.items():
        own = isinstance(value, dict)
        pairs += _pairs_of(value, f"{prefix}{key}.") if own else [f"{prefix}{key}={value}"]
    return pairs
