import random

import numpy as np
import torch

from commons.seeding import random_states, restore_random_states, seed_everything


def draws() -> tuple:
    return random.random(), float(np.random.normal()), float(torch.rand(1))


def test_restored_states_repeat_every_generator():
    seed_everything(3)
    np.random.normal()  # leaves a cached Gaussian, which is part of the state
    states = random_states()
    first = draws()
    assert draws() != first
    restore_random_states(states)
    assert draws() == first


def test_seed_repeats_and_ranks_differ():
    seed_everything(5)
    first = draws()
    seed_everything(5)
    assert draws() == first
    seed_everything(5, rank=1)
    assert draws() != first
