"""Small procedural data sets, to try every step without a download: a city in the layout of SF-XS, and a country."""

from demo.sizes import AERIALS, COUNTRIES, SIZES

__all__ = ["AERIALS", "COUNTRIES", "SIZES"]
