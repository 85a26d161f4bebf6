import pytest
import torch
from torch.nn.functional import normalize

from commons.errors import ArgumentError
from commons.options import help_text, options_of
from losses import CLASSIFICATION, LOSSES, METRIC, MINERS, OWN_MINERS
from losses.building import make_loss, read_loss
from tests.losses.batches import batch, gradients


@pytest.mark.parametrize(
    ("kind", "name"), [*(("loss", name) for name in LOSSES), *(("miner", name) for name in MINERS)]
)
def test_everything_describes_itself(kind: str, name: str):
    registry = {"loss": LOSSES, "miner": MINERS}[kind]
    text = help_text(kind, name, registry)
    assert name == "pair_margin" or "https://" in text
    for key, option in options_of(registry[name]).items():
        assert option.kind is type(option.default) and f"  {key}={option.default} " in text


@pytest.mark.parametrize("name", METRIC)
@pytest.mark.parametrize("case", ["usual", "identical", "opposite", "one place"])
def test_metric_losses_are_finite_with_their_own_miner(name: str, case: str):
    loss = make_loss(name, *read_loss(name, {}, "auto", {}))
    x, labels = batch()
    if case == "identical":
        x = torch.ones_like(x, requires_grad=True) / 6**0.5
    elif case == "opposite":
        x = normalize(torch.ones(12, 6), dim=1) * (1 - 2 * (labels % 2))[:, None]
        x = x.requires_grad_()
    elif case == "one place":
        labels = torch.zeros_like(labels)
    value = loss(x, labels)
    assert value.isfinite() and gradients(value, x).isfinite().all()


@pytest.mark.parametrize("name", METRIC)
def test_metric_losses_pull_places_together(name: str):
    """A few steps along the gradient bring images of one place nearer to each other than to others."""
    torch.manual_seed(0)
    loss = make_loss(name, *read_loss(name, {}, "auto", {}))
    raw, labels = batch(places=3, images=3)
    raw = raw.detach().requires_grad_()
    optimizer = torch.optim.Adam([raw], lr=0.05)

    def gap() -> float:
        x = normalize(raw.detach(), dim=1)
        same = labels[:, None] == labels
        return (x @ x.T)[same].mean().item() - (x @ x.T)[~same].mean().item()

    before = gap()
    for _ in range(20):
        optimizer.zero_grad()
        loss(normalize(raw, dim=1), labels).backward()
        optimizer.step()
    assert gap() > before + 0.1


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_classification_losses_fall_as_their_weights_learn(name: str):
    torch.manual_seed(0)
    loss = make_loss(name, read_loss(name, {}, "auto", {})[0], "none", {})(4, 6)
    x, labels = batch()
    x = x.detach().float()
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        value = loss(x, labels)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.8 * values[0]


def test_own_miners_and_none():
    assert read_loss("multi_similarity", {"base": "0.5"}, "auto", {"epsilon": "0.2"}) == (
        {"alpha": 1.0, "beta": 50.0, "base": 0.5},
        "multi_similarity",
        {"epsilon": 0.2},
    )
    assert read_loss("multi_similarity", {}, "none", {})[1:] == ("none", {})
    assert read_loss("supcon", {}, "auto", {})[1:] == ("none", {})
    assert read_loss("triplet", {}, "batch_hard", {})[1] == "batch_hard"
    assert OWN_MINERS.keys() <= METRIC.keys() and set(OWN_MINERS.values()) <= MINERS.keys()


def test_a_miner_changes_what_counts():
    x, labels = batch()
    mined, everything = (
        make_loss("multi_similarity", {}, miner, {})(x, labels) for miner in ("multi_similarity", "none")
    )
    assert 0 < mined < everything


@pytest.mark.parametrize(
    ("name", "options", "miner", "words"),
    [
        ("cosfase", {}, "auto", "did you mean cosface"),
        ("cosface", {"m": "1.5"}, "auto", "`loss_options`: m=1.5 must be between 0 and 1"),
        ("cosface", {"s": "0"}, "auto", "`loss_options`: s=0 must be above 0"),
        ("arcface", {"m": "28.6"}, "auto", "m=28.6 must be between 0 and 1.5708"),
        ("arcface", {"margin": "1"}, "auto", "arcface has no option margin; its options are m, s, focal"),
        ("sphereface", {"m": "1.5"}, "auto", "m=1.5 is not a whole number"),
        ("subcenter_arcface", {"k": "0"}, "auto", "k=0"),
        ("ntxent", {"temperature": "0"}, "auto", "temperature=0 must be above 0"),
        ("contrastive", {"pos_margin": "1"}, "auto", "pos_margin=1 must be below neg_margin=1"),
        ("triplet", {"margin": "3"}, "auto", "margin=3 must be between 0 and 2"),
        ("fastap", {"bins": "1"}, "auto", "bins=1 must be between 2"),
        ("circle", {"gamma": "0"}, "auto", "gamma=0"),
        ("cosface", {}, "semihard", "`miner`: semihard cannot be used with `loss` cosface.*`loss` multi_similarity"),
        ("centroid_triplet", {}, "semihard", "compares with all centroids; use none"),
        ("fastap", {}, "batch_hard", "ranks the whole batch; use none"),
        ("triplet", {}, "semihardd", "`miner`: semihardd is unknown .*did you mean semihard.*none, auto"),
    ],
)
def test_mistakes_name_the_option_and_the_way_out(name: str, options: dict[str, str], miner: str, words: str):
    with pytest.raises(ArgumentError, match=words):
        read_loss(name, options, miner, {})


def test_mistakes_in_the_miner():
    with pytest.raises(ArgumentError, match="`miner_options`: epsilon=3 must be between"):
        read_loss("multi_similarity", {}, "auto", {"epsilon": "3"})
    with pytest.raises(ArgumentError, match="`miner_options`: needs a miner"):
        read_loss("supcon", {}, "auto", {"epsilon": "3"})
