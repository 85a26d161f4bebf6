from flags.settings import names_where
from flags.training import OptimizerSettings, TrainingSettings
from tests.flags.parsing import refused, train


def test_optimizer_and_schedule():
    args = train("--optimizer", "sgd", "--optimizer_options", "momentum=0.9,nesterov=true", "--lr", "1e-2")
    assert (args.optimizer, args.optimizer_options, args.lr) == (
        "sgd", {"momentum": "0.9", "nesterov": "true"}, 0.01,
    )  # fmt: skip
    args = train("--scheduler", "multistep", "--milestones", "3", "5", "--lr_gamma", "0.5")
    assert (args.scheduler, args.milestones, args.lr_gamma, args.plateau_patience) == ("multistep", [3, 5], 0.5, 3)
    args = train("--scheduler", "polynomial", "--lr_power", "0.9")
    assert (args.scheduler, args.lr_power) == ("polynomial", 0.9)
    with refused("--lr_power needs --scheduler polynomial"):
        train("--scheduler", "cosine", "--lr_power", "0.9")
    args = train("--iterations_per_epoch", "30", "--accumulate", "3", "--ema", "0.9", "--clip_grad", "1")
    assert (args.iterations_per_epoch, args.accumulate, args.ema, args.clip_grad) == (30, 3, 0.9, 1.0)


def test_what_may_change_when_a_run_continues():
    assert names_where(TrainingSettings, lambda flag: flag.on_resume) == {"epochs_num", "resume_train", "patience"}
    assert names_where(OptimizerSettings, lambda flag: flag.on_resume) == set()
