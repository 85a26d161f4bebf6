"""A small procedural city in the layout of SF-XS, to try every step without a download."""

from demo.views import SIZES, DemoSize
from demo.write import image_name, make_demo

__all__ = ["SIZES", "DemoSize", "image_name", "make_demo"]
