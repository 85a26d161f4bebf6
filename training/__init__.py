"""How a network is trained: optimizers, schedules, extra losses, adaptation, averages of weights, the state of a run."""
