from dataclasses import fields

import pytest

from flags.network import Architecture, EvalNetwork, TrainNetwork, architecture_names
from tests.flags.parsing import train


def test_help_aggregation_prints_and_ends(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        train("--help_aggregation", "mixvpr")
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert "https://arxiv.org/abs/2303.02190" in printed and "  mix_depth=4 " in printed and "4096" in printed
    assert "--aggregation_options key=value" in printed and "`" not in printed


def test_what_a_checkpoint_knows_of_its_network():
    assert architecture_names() == {
        "backbone", "cut_after", "aggregation", "aggregation_options", "fc_output_dim", "pretrained", "fc_init",
        "aerial_backbone", "shared_encoder", "levels",
    }  # fmt: skip
    own = {declared.name for declared in fields(Architecture)}
    assert own <= {declared.name for declared in fields(TrainNetwork)}
    assert own <= {declared.name for declared in fields(EvalNetwork)}


def test_an_evaluation_projects_descriptors_only_if_asked():
    assert (TrainNetwork().fc_output_dim, EvalNetwork().fc_output_dim) == (512, 0)
