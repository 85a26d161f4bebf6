"""Domain adaptation: training images with labels (source) and images of another domain without labels (target).

Adding one is a file here and a line in one of the two registries:

- an image adaptation gives the source images the look of target images before they are augmented: a module built with
  `(*, option=default, ...)` whose `forward(images, targets)` maps uint8 (b, 3, h, w) and as many target images to uint8
  (b, 3, h, w);
- a descriptor adaptation is a loss that aligns the descriptors of both domains: a module built with
  `(descriptor_dim, *, option=default, ...)` whose `forward(source, target, progress)` maps unit descriptors (n, d) and
  (m, d) and the share of the training that is done, 0 to 1, to a scalar.

Keyword-only parameters are options on the command line. `batch_norm.py` is separate: it adapts a trained network.
"""

from commons.registry import Registry

IMAGE_ADAPTATIONS = Registry(
    {
        "fourier": "training.adaptation.fourier:Fourier",
        "histogram": "training.adaptation.histogram:HistogramMatching",
    }
)
DESCRIPTOR_ADAPTATIONS = Registry(
    {
        "gradient_reversal": "training.adaptation.gradient_reversal:GradientReversal",
        "coral": "training.adaptation.coral:Coral",
    }
)
ADAPTATIONS = DESCRIPTOR_ADAPTATIONS | IMAGE_ADAPTATIONS
