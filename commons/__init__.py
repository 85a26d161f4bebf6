"""Shared by all folders: errors, files, logging, devices, seeds, checkpoints and more."""
