"""Descriptors, the index over them, and how often it finds the right place."""
