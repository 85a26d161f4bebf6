"""Metrics of predictions."""

# The N of recall@N.
RECALL_VALUES = (1, 5, 10, 20, 100)
