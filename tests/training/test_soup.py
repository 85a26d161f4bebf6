"""The mean, worked out by hand, and greedy selection with a stub of the score."""

import torch

from training.soup import greedy_soup, uniform_soup


def state(value: float, batches: int = 0) -> dict[str, torch.Tensor]:
    return {"w": torch.tensor([value, 2 * value], dtype=torch.float32), "num_batches_tracked": torch.tensor(batches)}


def test_uniform_soup_by_hand():
    soup = uniform_soup(iter([state(1, 7), state(2, 8), state(6, 9)]))
    assert soup["w"].tolist() == [3, 6]
    assert soup["w"].dtype == torch.float32
    assert soup["num_batches_tracked"] == 7


def test_the_sum_is_exact_where_float32_is_not():
    """2^24 + 1 is no float32: summed in float32 the ones would be lost."""
    states = [{"w": torch.tensor([value])} for value in (2.0**24, 1.0, 1.0, 2.0)]
    assert uniform_soup(iter(states))["w"].tolist() == [2**22 + 1]


def test_half_precision_stays_half_precision():
    states = [{"w": torch.tensor([value], dtype=torch.float16)} for value in (60000.0, 60000.0)]
    (mean,) = uniform_soup(iter(states)).values()
    assert (mean.dtype, mean.item()) == (torch.float16, 60000)


def test_greedy_takes_the_best_first_and_leaves_out_what_lowers_the_score():
    """Weights of the soups 5, (5 + 1) / 2 = 3, (5 + 3) / 2 = 4 and (5 + 3 + 4) / 3 = 4."""
    members = [state(1), state(5), state(3), state(4)]
    measured = []

    def measure(soup: dict[str, torch.Tensor]) -> float:
        measured.append(soup["w"][0].item())
        return {3.0: 79.0, 4.0: 80.0}[measured[-1]]

    soup, chosen = greedy_soup(lambda member: members[member], [70, 80, 60, 50], measure)
    assert measured == [3, 4, 4]
    assert chosen == [1, 2, 3]
    assert soup["w"].tolist() == [4, 8]


def test_greedy_compares_with_the_best_soup_so_far():
    """After a soup of 90, one of 85 is worse, though it beats every member."""
    members = [state(0), state(2), state(4)]
    soup, chosen = greedy_soup(lambda member: members[member], [80, 70, 60], lambda s: {1: 90, 2: 85}[s["w"][0].item()])
    assert chosen == [0, 1]
    assert soup["w"].tolist() == [1, 2]


def test_greedy_takes_negated_errors():
    """Errors 10, 5 and 20 km: the mean of the best two has 4 km, that of all three 6 km."""
    members = [state(0), state(2), state(4)]
    scores = {1: -4, 2: -6}
    soup, chosen = greedy_soup(lambda i: members[i], [-10, -5, -20], lambda s: scores[s["w"][0].item()])
    assert chosen == [1, 0]
    assert soup["w"].tolist() == [1, 2]
