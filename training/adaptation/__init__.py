"""Domain adaptation: training images with labels (source) and images of another domain without any (target).

Adding one is a file here and a line in one of the two registries:

- an image adaptation gives the source images the look of target images before they are augmented: a module built with
  `(*, option=default, ...)` whose `forward(images, targets)` maps uint8 (b, 3, h, w) and as many target images to uint8
  (b, 3, h, w);
- a descriptor adaptation is a loss that draws the descriptors of both domains together: a module built with
  `(descriptor_dim, *, option=default, ...)` whose `forward(source, target, progress)` maps unit descriptors (n, d) and
  (m, d) and the share of the training that is done, 0 to 1, to a scalar.

Keyword-only parameters are options on the command line. `batch_norm.py` stands apart: it adapts a trained network.
"""

from torch import nn

from training.adaptation.coral import Coral
from training.adaptation.fourier import Fourier
from training.adaptation.gradient_reversal import GradientReversal
from training.adaptation.histogram import HistogramMatching

IMAGE_ADAPTATIONS: dict[str, type[nn.Module]] = {"fourier": Fourier, "histogram": HistogramMatching}
DESCRIPTOR_ADAPTATIONS: dict[str, type[nn.Module]] = {"gradient_reversal": GradientReversal, "coral": Coral}
ADAPTATIONS = DESCRIPTOR_ADAPTATIONS | IMAGE_ADAPTATIONS
