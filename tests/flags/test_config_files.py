from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

import parser
from augmentations import AUGMENTATIONS
from commons import runs
from commons.errors import UsageError
from commons.options import options_of
from flags.config_files import flattened, read_config
from flags.demos import DEMO_DEFAULTS
from flags.settings import sections_of
from losses import LOSSES, MINERS
from losses.self_supervised import SELF_SUPERVISED
from methods import METHODS
from model.aggregation import AGGREGATIONS
from parser import EvalSettings, TrainSettings, parse_eval_settings, parse_train_settings
from tests.flags.parsing import refused, train, values_of, write
from training.adaptation import ADAPTATIONS
from training.optimizers import RESERVED


def train_from(file: str, *flags: str) -> Namespace:
    return values_of(parse_train_settings(["--config", file, *flags]))


def flat_text(text: str, tmp_path: Path, settings: type = TrainSettings) -> dict:
    file = write(tmp_path / "a.yaml", text)
    return flattened(read_config(file), settings, "train.py", file)


def test_config_gives_flags_and_the_command_line_wins(tmp_path: Path):
    text = (
        "dataset_folder: x\nlr: 1e-4\nepochs_num: 3\nfreeze_batch_norm: true\naggregation: mixvpr\n"
        "aggregation_options: {out_rows: 2, grid: 7}\nnum_trainable_blocks: null\n"
    )
    file = write(tmp_path / "a.yaml", text)
    args = values_of(parse_train_settings(["--epochs_num", "4", "--config", file]))
    assert (args.dataset_folder, args.lr, args.epochs_num, args.freeze_batch_norm) == ("x", 1e-4, 4, True)
    assert (args.aggregation_options["out_rows"], args.aggregation_options["grid"]) == (2, 7)
    assert (args.fc_output_dim, args.num_trainable_blocks, args.config) == (2048, None, file)
    assert not train_from(file, "--no-freeze_batch_norm").freeze_batch_norm
    file = write(tmp_path / "e.yaml", "dataset_folder: [x, y]\ntest_set_folder: z\nno_labels: true\n")
    args = values_of(parse_eval_settings(["--config", file]))
    assert (args.dataset_folder, args.test_set_folder, args.no_labels) == (["x", "y"], ["z"], True)
    assert values_of(parse_eval_settings(["--config", file, "--dataset_folder", "w"])).dataset_folder == ["w"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "change", "name"),
    [
        ([], ["--loss", "arcface"], "loss_options"),
        ([], ["--loss", "sphereface"], "loss_options"),
        (["--loss", "arcface"], ["--loss", "cosface", "--loss_options", "m=0.3"], "loss_options"),
        (["--method", "gsv"], ["--loss", "triplet"], "miner"),
        (["--backbone", "DINOv2_S", "--aggregation", "salad"], ["--aggregation", "megaloc"], "aggregation_options"),
        (["--optimizer", "sgd", "--optimizer_options", "momentum=0.9"], ["--optimizer", "adamw"], "optimizer_options"),
        (["--scheduler", "multistep", "--milestones", "2"], ["--scheduler", "cosine"], "milestones"),
        (["--num_trainable_blocks", "0"], ["--train_all_layers"], "num_trainable_blocks"),
        (["--augmentations", "night,fog"], ["--augmentations", "fog"], "augmentation_options"),
        (["--target_folder", ".", "--adaptation", "coral,fourier"], ["--adaptation", "coral"], "adaptation_options"),
        (["--loss_options", "m=0.3"], ["--loss", "cosface"], "loss_options"),
    ],
)
def test_options_in_a_config_belong_to_its_own_choice(tmp_path: Path, flags: list[str], change: list[str], name: str):
    settings = parse_train_settings(["--dataset_folder", "x", *flags])
    runs.save_config(parser.kept(settings), tmp_path)
    changed = train_from(str(tmp_path / "config.yaml"), *change)
    gone = {"--optimizer_options", "momentum=0.9", "--milestones", "2", "--num_trainable_blocks", "0"}
    plain = [flag for flag in flags if flag not in gone]
    assert getattr(changed, name) == getattr(train(*plain, *change), name)


def test_config_beats_the_demos_defaults(tmp_path: Path):
    file = write(tmp_path / "a.yaml", "dataset_folder: demo\nepochs_num: 50\nfreeze_batch_norm: false\n")
    args = train_from(file)
    assert (args.epochs_num, args.freeze_batch_norm) == (50, False)
    assert args.backbone == DEMO_DEFAULTS["backbone"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("backbon: VGG16", "a.yaml: backbon is not a flag of train.py .did you mean backbone"),
        ("zzzz: 1", "zzzz is not a flag of train.py .python train.py --help"),
        ("3: 1", "3 is not a flag of train.py .python train.py --help"),
        ("resume_train: x", "resume_train is not a flag"),
        ("config: x", "config is not a flag"),
        ("epochs_num: 1.5", "a.yaml: argument --epochs_num: '1.5' is not a whole number"),
        ("epochs_num: true", "--epochs_num: 'True' is not a whole number"),
        ("lr: fast", "--lr"),
        ("lr: {name: 3}", "--lr: 'name=3' is not a number"),
        ("device: tpu", "--device"),
        ("hue: 0.7", "--hue 0.7"),
        ("backbone: [a, b]", "--backbone: a,b is unknown"),
        ("freeze_batch_norm: 1", "freeze_batch_norm must be true or false, not 1"),
        ("train_all_layers: true\nnum_trainable_blocks: 1", "--train_all_layers and --num_trainable_blocks"),
        ("aggregation: boq\naggregation_options: {query: 3}", "did you mean queries"),
        ("- lr", "a.yaml: must hold lines"),
        ("", "a.yaml: must hold lines"),
        ("lr: [1", "a.yaml: is not valid YAML at line"),
        # In sections:
        ("network: {backbon: VGG16}", "network.backbon is not a flag of train.py .did you mean backbone"),
        ("network: {zzzz: 1}", "network.zzzz is not a flag of train.py .python train.py --help"),
        ("network: {1: 1}", "network.1 is not a flag of train.py"),
        ("network: {name: VGG16}", "network.name is not a flag of train.py"),
        ("network: {aggregation: {name: boq, query: 3}}", "--aggregation_options: boq has no option query .did you me"),
        ("run: {config: x}", "run.config is not a flag"),
        ("training: {resume_train: x}", "training.resume_train is not a flag"),
        ("scheduler: {name: plateau, gamma: 0.5}", "scheduler.gamma is not a flag of train.py .did you mean lr_gamma"),
        ("augmentation: {fog: {p: 1}}", "augmentation.fog is not a flag"),
        ("evaluation: {batch_size: 8}", "evaluation.batch_size: move batch_size to the section training"),
        ("data: {loss: {name: arcface}}", "data.loss: move loss to the section method"),
        ("loss: {name: arcface, margin: 3}", "--loss_options: arcface has no option margin"),
        ("loss: {name: arkface}", "--loss: arkface is unknown .did you mean arcface"),
        ("network: ResNet50", "network is a section, not a flag; write its flags below it"),
        ("network: [a, b]", "network is a section, not a flag"),
        ("network: {backbone: VGG16}\nbackbone: ResNet18", "backbone is given twice"),
        ("loss: {name: arcface, m: 0.3}\nloss_options: {m: 0.4}", "loss_options is given twice"),
        ("loss: arcface\nmethod: {loss: cosface}", "loss is given twice"),
        ("lr: 1\nhue: 0.1\nlr: 2", "is not valid YAML at line 3 .lr is given twice"),
        ("loss:\n  name: arcface\n  m: 0.3\n  m: 0.4", "is not valid YAML at line 4 .m is given twice"),
        ("optimizer: {name: adam, lr: fast}", "argument --lr: 'fast' is not a number"),
    ],
)  # fmt: skip
def test_mistakes_in_a_config(tmp_path: Path, text: str, words: str):
    with refused(words):
        train_from(write(tmp_path / "a.yaml", text), "--dataset_folder", "x")


def test_config_that_is_missing_or_beside_resume_train():
    with refused("--config nowhere.yaml: cannot be read"):
        train_from("nowhere.yaml")
    with refused("--config and --resume_train are in conflict"):
        parse_train_settings(["--resume_train", "x", "--config", "nowhere.yaml"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sections", "flat"),
    [
        ("loss: {name: arcface, m: 0.3}", "loss: arcface\nloss_options: {m: 0.3}"),
        ("loss: {m: 0.3}", "loss_options: {m: 0.3}"),
        ("loss: {name: arcface}", "loss: arcface"),
        ("loss: {name: arcface, loss_options: {m: 0.3}}", "loss: arcface\nloss_options: {m: 0.3}"),
        (
            "optimizer: {name: adamw, lr: 1e-4, betas: [0.9, 0.95], weight_decay: 0.01}",
            "optimizer: adamw\noptimizer_options: {betas: [0.9, 0.95]}\nlr: 1e-4\nweight_decay: 0.01",
        ),
        ("optimizer: {optimizer: sgd, momentum: 0.9}", "optimizer: sgd\noptimizer_options: {momentum: 0.9}"),
        ("optimizer: {optimizer: {name: sgd, nesterov: true, momentum: 0.9}, ema: 0.9}",
         "optimizer: sgd\noptimizer_options: {nesterov: true, momentum: 0.9}\nema: 0.9"),
        (
            "network: {backbone: ResNet50, aggregation: {name: mixvpr, mix_depth: 2}}",
            "backbone: ResNet50\naggregation: mixvpr\naggregation_options: {mix_depth: 2}",
        ),
        ("backbone: {name: ResNet50, cut_after: layer3}", "backbone: ResNet50\ncut_after: layer3"),
        ("scheduler: {name: plateau, lr_gamma: 0.5}", "scheduler: plateau\nlr_gamma: 0.5"),
        ("optimizer: {scheduler: {name: multistep, milestones: [1, 2]}}", "scheduler: multistep\nmilestones: [1, 2]"),
        ("run: {seed: 3, trackers: []}", "seed: 3\ntrackers: []"),
        ("method: {name: gsv, images_per_place: 2, loss: {name: triplet}, miner: none}",
         "method: gsv\nmethod_options: {images_per_place: 2}\nloss: triplet\nminer: none"),
        ("method: gsv\nminer: {name: pair_margin, pos_margin: 0.3}",
         "method: gsv\nminer: pair_margin\nminer_options: {pos_margin: 0.3}"),
        ("augmentation: {augmentations: [fog, color_jitter], hue: 0.1, augmentation_options: {fog: {p: 1}}}",
         "augmentations: fog,color_jitter\nhue: 0.1\naugmentation_options: fog.p=1"),
        ("extras: {self_supervised_weight: 1, self_supervised_loss: {name: simclr, outputs: 64}}",
         "self_supervised_weight: 1\nself_supervised_loss: simclr\nself_supervised_loss_options: {outputs: 64}"),
        ("lr: 1e-3\nrun: {seed: 3}\nbackbone: ResNet50", "lr: 1e-3\nseed: 3\nbackbone: ResNet50"),
        ("training:\nclasses: {}\nlr: 1e-3", "lr: 1e-3"),
    ],
)  # fmt: skip
def test_sections_say_the_same_as_flat_files(tmp_path: Path, sections: str, flat: str):
    first = train_from(write(tmp_path / "a.yaml", sections), "--dataset_folder", "x")
    second = train_from(write(tmp_path / "b.yaml", flat), "--dataset_folder", "x")
    assert vars(first) | {"config": None} == vars(second) | {"config": None}
    assert vars(first) | {"config": None} != vars(train())


def test_sections_are_taken_apart(tmp_path: Path):
    text = (
        "data: {dataset_folder: x}\nloss: {name: arcface, m: 0.3}\noptimizer: {name: adamw, lr: 1e-4, eps: 1e-7}\n"
        "network: {aggregation: {name: mixvpr, mix_depth: 2}, backbone: ResNet50}\nseed: 3\nevaluation:\n"
    )
    assert flat_text(text, tmp_path) == {
        "dataset_folder": "x", "loss": "arcface", "loss_options": {"m": 0.3}, "optimizer": "adamw", "lr": "1e-4",
        "optimizer_options": {"eps": "1e-7"}, "aggregation": "mixvpr", "aggregation_options": {"mix_depth": 2},
        "backbone": "ResNet50", "seed": 3,
    }  # fmt: skip


def test_options_reach_the_settings(tmp_path: Path):
    text = "optimizer: {name: adamw, lr: 1e-4, betas: [0.9, 0.95], amsgrad: true}\nloss: {name: arcface, m: 0.3}"
    args = train_from(write(tmp_path / "a.yaml", text))
    assert (args.optimizer, args.lr) == ("adamw", 1e-4)
    assert args.optimizer_options == {"betas": "0.9:0.95", "amsgrad": "True"}
    assert (args.loss, args.loss_options["m"]) == ("arcface", 0.3)


def test_the_command_line_wins_over_sections_too(tmp_path: Path):
    file = write(tmp_path / "a.yaml", "loss: {name: arcface, m: 0.3}\nrun: {seed: 3, compile: true}\n")
    args = train_from(file, "--loss", "sphereface", "--seed", "4", "--no-compile")
    assert (args.loss, args.seed, args.compile) == ("sphereface", 4, False)
    assert args.loss_options == train("--loss", "sphereface").loss_options
    assert train_from(file, "--loss_options", "m=0.2").loss_options["m"] == 0.2


def test_merge_keys_of_yaml_are_no_keys_given_twice(tmp_path: Path):
    text = "one: &one {a: 1, b: 1}\ntwo: &two {<<: *one, b: 2, c: 2}\nthree: {<<: *two, c: 3}\n"
    assert read_config(write(tmp_path / "a.yaml", text)) == yaml.safe_load(text)


def test_sections_of_an_evaluation(tmp_path: Path):
    text = (
        "data: {dataset_folder: [x, y]}\nevaluation: {image_size: [320, 240], index: hnsw}\n"
        "test_time: {multi_scale: [0.7, 1, 1.4], pca_dim: 64, whiten: half}\n"
    )
    args = values_of(parse_eval_settings(["--config", write(tmp_path / "a.yaml", text)]))
    assert (args.dataset_folder, args.image_size, args.index) == (["x", "y"], [320, 240], "hnsw")
    assert (args.multi_scale, args.pca_dim, args.whiten) == ([0.7, 1.0, 1.4], 64, "half")
    with pytest.raises(UsageError, match="loss is not a flag of eval.py"):
        parse_eval_settings(["--config", write(tmp_path / "b.yaml", "loss: arcface")])


@pytest.mark.parametrize(
    ("choice", "registry"),
    [
        ("method", METHODS), ("loss", LOSSES), ("miner", MINERS), ("aggregation", AGGREGATIONS),
        ("self_supervised_loss", SELF_SUPERVISED),
    ],
)  # fmt: skip
def test_options_cannot_be_mistaken_for_flags_of_their_section(choice: str, registry: dict):
    (section,) = (kind for kind in sections_of(TrainSettings).values() if choice in kind.__dataclass_fields__)
    for name, builder in registry.items():
        assert not {"name", *section.__dataclass_fields__} & options_of(builder).keys(), name


def test_sections_of_options_by_name_need_no_name_of_a_flag():
    sections: Sequence[type] = (TrainSettings, EvalSettings)
    for settings in sections:
        assert not sections_of(settings).keys() & {*AUGMENTATIONS, *ADAPTATIONS, "name"}
    assert {"lr", "weight_decay"} <= RESERVED  # of optimizers: they are flags of the section
