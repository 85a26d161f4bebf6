"""Training: optimizers, schedules, extra losses, adaptation, weight averages, the state of a run."""
