"""A small procedural city in the layout of SF-XS, to try every step without a download."""

from demo.sizes import SIZES

__all__ = ["SIZES"]
