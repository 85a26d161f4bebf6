"""Downloading data sets: where they are, transfers that can be resumed, safe unpacking."""
