"""The flags of train.py and eval.py, put together and checked. `python parser.py` prints docs/flags.md."""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from commons.errors import PlacewiseError, UsageError
from demo import AERIALS as DEMO_AERIALS
from demo import COUNTRIES as DEMO_COUNTRIES
from demo import SIZES as DEMO_SIZES
from flags.augmentation import AugmentationSettings
from flags.config_files import with_config
from flags.cross_view import CrossViewSettings, EvalCrossView
from flags.data import ClassSettings, EvalData, TrainData
from flags.demos import AERIAL_DEFAULTS, COUNTRY_DEFAULTS, DEMO_DEFAULTS
from flags.evaluation import EvalEvaluation, EvaluationSettings, SequenceSettings, TestTimeSettings
from flags.geolocation import CellSettings, EvalGeolocation, GeolocationSettings
from flags.location import LocationEncoderSettings, RegionSettings
from flags.method import ExtraSettings, MethodSettings, method_defaults
from flags.network import EvalNetwork, TrainNetwork, architecture_names
from flags.parsers import EXPLAIN, default_of, default_text, flags_given, make_parser, metavar_of
from flags.reranking import RerankingSettings
from flags.run import RunSettings, TrainRun
from flags.settings import RETIRED, build, fields_of, flag_of, flat, names_where, title
from flags.training import OptimizerSettings, TrainingSettings
from methods import METHODS
from tasks import FIRST

OTHER_METHODS = "--method NAME --help shows the flags and defaults of another method; docs/flags.md lists all flags."


@dataclass(frozen=True)
class TrainSettings:
    """The settings of train.py."""

    data: TrainData = field(default_factory=TrainData)
    classes: ClassSettings = field(default_factory=ClassSettings)
    network: TrainNetwork = field(default_factory=TrainNetwork)
    method: MethodSettings = field(default_factory=MethodSettings)
    cells: CellSettings = field(default_factory=CellSettings)
    location: LocationEncoderSettings = field(default_factory=LocationEncoderSettings)
    cross_view: CrossViewSettings = field(default_factory=CrossViewSettings)
    region: RegionSettings = field(default_factory=RegionSettings)
    extras: ExtraSettings = field(default_factory=ExtraSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    geolocation: GeolocationSettings = field(default_factory=GeolocationSettings)
    run: TrainRun = field(default_factory=TrainRun)


@dataclass(frozen=True)
class EvalSettings:
    """The settings of eval.py."""

    data: EvalData = field(default_factory=EvalData)
    network: EvalNetwork = field(default_factory=EvalNetwork)
    evaluation: EvalEvaluation = field(default_factory=EvalEvaluation)
    geolocation: EvalGeolocation = field(default_factory=EvalGeolocation)
    cross_view: EvalCrossView = field(default_factory=EvalCrossView)
    test_time: TestTimeSettings = field(default_factory=TestTimeSettings)
    sequences: SequenceSettings = field(default_factory=SequenceSettings)
    reranking: RerankingSettings = field(default_factory=RerankingSettings)
    run: RunSettings = field(default_factory=RunSettings)


def train_parser(task: str | None = None) -> argparse.ArgumentParser:
    """Returns the parser of train.py, whose --help shows the flags of a task; by default, all flags."""
    description = "Train a network that predicts where photographs were taken."
    parser = make_parser("train.py", description, TrainSettings, task, OTHER_METHODS)
    for name, only in RETIRED.items():
        parser.add_argument(f"--{name}", choices=[only], default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def eval_parser() -> argparse.ArgumentParser:
    """Returns the parser of eval.py."""
    return make_parser("eval.py", "Evaluate networks on test sets.", EvalSettings)


def parse_train_settings(arguments: Sequence[str] | None = None) -> TrainSettings:
    """Reads and checks the flags of train.py; with --resume_train they come from the checkpoint.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    parser = _help_parser(arguments) or train_parser()
    given = flags_given(parser, arguments)
    if given.get("resume_train"):
        return _resumed(parser, given)
    set_defaults = partial(_set_defaults, parser)
    set_defaults(given)
    arguments, given = with_config(parser, TrainSettings, arguments, given, set_defaults)
    args = parser.parse_args(arguments)
    from flags.checks import check_training  # imports PyTorch; --help and misspelt flags need none
    from flags.method_checks import check_sections

    check_training(args, given, parser.get_default("loss_options"))
    check_sections(TrainSettings, args.method, given)
    return build(TrainSettings, vars(args))


def _help_parser(arguments: Sequence[str] | None) -> argparse.ArgumentParser | None:
    """Returns a parser with the flags and defaults of the chosen method, if --help is on the command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not {"-h", "--help"} & set(arguments):
        return None
    choices = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("method", "dataset_folder"):
        choices.add_argument(f"--{name}", nargs="?")
    given = vars(choices.parse_known_args(arguments)[0])
    method = _method_of(given)
    parser = train_parser(METHODS[method].task if method in METHODS else FIRST)
    _set_defaults(parser, {name: value for name, value in given.items() if value is not None})
    return parser


def _method_of(given: Mapping[str, Any]) -> str | None:
    """Returns the method that is given, or that of a demo; None without either."""
    for sizes, defaults in ((DEMO_COUNTRIES, COUNTRY_DEFAULTS), (DEMO_AERIALS, AERIAL_DEFAULTS)):
        if given.get("dataset_folder") in sizes:
            return given.get("method") or defaults["method"]
    return given.get("method")


def _set_defaults(parser: argparse.ArgumentParser, given: Mapping[str, Any]) -> None:
    """Puts the defaults of a method and of the demo into the parser of train.py."""
    folder, method = given.get("dataset_folder"), _method_of(given)
    if method in METHODS:
        own = METHODS[method].defaults
        if given.get("loss", own.get("loss")) != own.get("loss"):
            own = own | {"loss_options": {}}  # the options are those of the method's own loss
        parser.set_defaults(**own)
    demos = ((DEMO_SIZES, DEMO_DEFAULTS), (DEMO_COUNTRIES, COUNTRY_DEFAULTS), (DEMO_AERIALS, AERIAL_DEFAULTS))
    for sizes, defaults in demos:
        if folder in sizes:
            other = {"cells", "cell_loss"} if method not in (None, "cells") else set()
            parser.set_defaults(**{name: value for name, value in defaults.items() if name not in other})


def parse_eval_settings(arguments: Sequence[str] | None = None) -> EvalSettings:
    """Reads and checks the flags of eval.py. `image_size` and `resize_test_imgs` are None where the checkpoint decides.

    Raises:
        UsageError: if a flag is out of range or flags are in conflict.
    """
    parser = eval_parser()
    arguments, given = with_config(parser, EvalSettings, arguments, flags_given(parser, arguments))
    args = parser.parse_args(arguments)
    from flags.checks import check_evaluation  # imports PyTorch; --help and misspelt flags need none

    check_evaluation(args, given)
    return build(EvalSettings, vars(args))


def kept(settings: Any) -> dict[str, Any]:
    """Returns the flags for config.yaml: all that --config accepts in another run."""
    values = computed(settings)
    without = architecture_names() if settings.network.resume_model else set()
    if values.get("loss") == "none":
        without |= {"loss", "miner"}
    return {name: value for name, value in values.items() if name not in without}


def computed(settings: Any) -> dict[str, Any]:
    """Returns the settings for checkpoints and run.json: all but those that belong to one start of a run."""
    names = names_where(type(settings), lambda flag: flag.kept)
    return {name: value for name, value in flat(settings).items() if name in names}


def unlike_defaults(settings: Any) -> dict[str, Any]:
    """Returns the flags whose values differ from the defaults."""
    defaults = flat(type(settings)())
    return {name: value for name, value in flat(settings).items() if value != defaults[name]}


def _resumed(parser: argparse.ArgumentParser, given: dict[str, Any]) -> TrainSettings:
    """Returns the settings of the run to continue, with the few flags that may differ."""
    extra = sorted(set(given) - names_where(TrainSettings, lambda flag: flag.on_resume))
    if extra:
        raise UsageError(
            f"--{extra[0]} and --resume_train are in conflict: the run continues with the settings it started with"
        )
    from commons.checkpoints import load_checkpoint
    from flags.checks import check_resumed

    path = Path(given["resume_train"])
    checkpoint = load_checkpoint(path)
    if "position" not in checkpoint:
        raise PlacewiseError(
            f"--resume_train {path}: not a last_checkpoint.pth; start from its network with --resume_model"
        )
    config = dict(checkpoint["config"])
    if config.get("color_jitter", "exact") != "exact":
        logging.warning(
            "the run started with the linear colour jitter, which was removed; it continues with the exact one"
        )
    if "target_folder" in given and not config.get("adaptation"):
        raise UsageError("--target_folder: the run that --resume_train continues adapts to no images")
    if "dataset_folder" in given:
        config |= dict.fromkeys(("train_set_folder", "val_set_folder", "test_set_folder"))
    # Checkpoints of earlier versions may lack settings; a run without a miner then had none.
    known = vars(parser.parse_args([])) | {"miner": "none"}
    args = argparse.Namespace(**known | config | given | {"output_folder": str(path.parent)})
    check_resumed(args)
    return build(TrainSettings, vars(args))


def flags_markdown(settings: type) -> str:
    """Returns a table of a program's flags with defaults and meanings."""
    from flags.method_checks import methods_for

    lines = ["| flag | default | meaning |", "|---|---|---|"]
    for section in fields(settings):
        only = f", for {methods_for(section.type)}" if hasattr(section.type, "tasks") else ""
        lines.append(f"| **{title(section.type)}** (`{section.name}`){only} | | |")
        for declared in fields_of(section.type):
            flag = flag_of(declared)
            default = default_text(default_of(declared))
            shown = f"`{default}`" if default else ""
            if declared.name == "num_workers":
                shown = "cores, at most 8"
            named = all(choice in flag.help for choice in flag.choices or ())
            meaning = flag.help if named else f"{flag.help} ({', '.join(flag.choices)})"
            typed = " ".join(filter(None, (f"--{declared.name}", metavar_of(declared))))
            typed, meaning = (text.replace("|", "\\|") for text in (typed, meaning))
            lines.append(f"| `{typed}` | {shown} | {meaning} |")
            for alias, value in (flag.aliases or {}).items():
                lines.append(f"| `--{alias}` |  | the same as --{declared.name} {value} |")
            if flag.explain is not None:
                name = flag.explain_name or declared.name
                lines.append(f"| `--help_{name} NAME` |  | {EXPLAIN} |")
    return "\n".join(lines)


def _typed(defaults: Mapping[str, Any]) -> str:
    return ", ".join(f"`{flag}`" for flag in method_defaults(defaults))


def flags_page() -> str:
    """Returns docs/flags.md."""
    methods = [f"`--method {name}` {_typed(kind.defaults)}" for name, kind in METHODS.items() if kind.defaults]
    return "\n\n".join(
        [
            "# All flags",
            "This page is the output of `python parser.py > docs/flags.md`.",
            "Names in parentheses are the sections of a configuration file (docs/experiments.md).",
            f"`--dataset_folder demo` has its own defaults, so that the run takes minutes: {_typed(DEMO_DEFAULTS)}.",
            f"`--dataset_folder demo-country` has its own defaults, too: {_typed(COUNTRY_DEFAULTS)}.",
            f"`--dataset_folder demo-aerial` has its own defaults, too: {_typed(AERIAL_DEFAULTS)}.",
            f"Some methods have their own defaults: {'; '.join(methods)}.",
            "## train.py",
            flags_markdown(TrainSettings),
            "## eval.py",
            flags_markdown(EvalSettings),
        ]
    )


if __name__ == "__main__":
    print(flags_page())
