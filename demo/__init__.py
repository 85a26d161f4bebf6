"""A small procedural city in the layout of SF-XS, to try every step without a download.

`demo.write.make_demo` writes it; `SIZES` are the cities that it can write, by name.
"""

from commons.registry import Registry

SIZES = Registry({"demo": "demo.views:SMALL", "demo-large": "demo.views:LARGE"})
