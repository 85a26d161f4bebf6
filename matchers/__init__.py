"""Local features of images, and the matches between two images that fit one movement of the camera.

Adding a matcher is a file here with a subclass of `matcher.Matcher`, and a line in MATCHERS. Keyword-only parameters of
its constructor are its options on the command line.
"""

from commons.registry import Registry

MATCHERS = Registry(
    {
        "sift": "matchers.sift:Sift",
        "orb": "matchers.orb:Orb",
        "xfeat": "matchers.xfeat:XFeat",
        "lightglue": "matchers.lightglue:LightGlue",
    }
)
