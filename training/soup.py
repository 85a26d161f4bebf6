"""Model soups: the mean weights of several networks (Wortsman et al., https://arxiv.org/abs/2203.05482)."""

from collections.abc import Callable, Iterator, Sequence

import torch

State = dict[str, torch.Tensor]


class Mean:
    """Mean of state dicts, summed in float64. Integers (counts of batches) are those of the first state dict.

    Means and variances of batch normalisation are averaged like weights.
    """

    def __init__(self) -> None:
        self.count, self._sums, self._first = 0, {}, {}

    def add(self, state: State) -> None:
        """Adds a state dict with the same tensors as those before."""
        self._first = self._first or state
        for name, tensor in state.items():
            if tensor.is_floating_point():
                total = self._sums.setdefault(name, torch.zeros(tensor.shape, dtype=torch.float64))
                total += tensor
        self.count += 1

    def state(self, extra: State | None = None) -> State:
        """Returns the mean, of `extra` as well if given, in the types of the first state dict."""
        count = self.count + (extra is not None)
        means = dict(self._first)
        for name, total in self._sums.items():
            total = total if extra is None else total + extra[name]
            means[name] = (total / count).to(self._first[name].dtype)
        return means


def uniform_soup(states: Iterator[State]) -> State:
    """Returns the mean of all state dicts; memory holds two of them and a sum in float64."""
    mean = Mean()
    for state in states:
        mean.add(state)
    return mean.state()


def greedy_soup(
    load: Callable[[int], State], scores: Sequence[float], measure: Callable[[State], float]
) -> tuple[State, list[int]]:
    """Adds members, best first, if the mean does not get worse (https://arxiv.org/abs/2203.05482, recipe 1).

    Args:
        load: returns the state dict of member i.
        scores: scores of each member alone: the main metric on the validation set, higher is better (negated where
            lower is better).
        measure: returns the score of a state dict on the same set.

    Returns:
        The soup and its members, in the order they were added.
    """
    order = sorted(range(len(scores)), key=lambda member: -scores[member])
    chosen, best = order[:1], scores[order[0]]
    mean = Mean()
    mean.add(load(order[0]))
    for member in order[1:]:
        state = load(member)
        score = measure(mean.state(state))
        if score >= best:
            mean.add(state)
            chosen, best = [*chosen, member], score
    return mean.state(), chosen
