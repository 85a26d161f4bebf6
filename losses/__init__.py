"""Losses and miners.

Adding one is a file here, or a function in a file of its family, and a line in CLASSIFICATION, METRIC, CROSS_VIEW or
MINERS. Keyword-only parameters of a builder are its options on the command line; its docstring is what --help_loss and
--help_miner print.

- A classification loss is a builder that takes (num_classes, descriptor_dim) and returns loss(descriptors, labels), a
  module whose parameters are the weights of a classifier.
- A metric loss is a builder that takes only options and returns loss(descriptors, labels, mined=None).
- A cross-view loss is a builder that takes only options and returns loss(street, aerial, apart=None), for the
  descriptors of b street photos and of their b aerial images.
- A miner is a builder of mine(descriptors, labels), which selects the pairs or triplets of a batch that a metric loss
  compares.
"""

from commons.registry import Registry

CLASSIFICATION = Registry(
    {
        "cosface": "losses.cosface:cosface",
        "arcface": "losses.arcface:arcface",
        "subcenter_arcface": "losses.arcface:subcenter_arcface",
        "sphereface": "losses.sphereface:sphereface",
    }
)
METRIC = Registry(
    {
        "multi_similarity": "losses.pairs:multi_similarity",
        "triplet": "losses.triplets:triplet",
        "centroid_triplet": "losses.triplets:centroid_triplet",
        "contrastive": "losses.pairs:contrastive",
        "ntxent": "losses.pairs:ntxent",
        "supcon": "losses.pairs:supcon",
        "circle": "losses.pairs:circle",
        "fastap": "losses.fastap:fastap",
    }
)
CROSS_VIEW = Registry(
    {
        "infonce": "losses.cross_view:infonce",
        "soft_margin": "losses.cross_view:soft_margin",
    }
)
LOSSES = CLASSIFICATION | METRIC | CROSS_VIEW
MINERS = Registry(
    {
        "multi_similarity": "losses.miners:multi_similarity_miner",
        "semihard": "losses.miners:semihard",
        "batch_hard": "losses.miners:batch_hard",
        "pair_margin": "losses.miners:pair_margin",
    }
)
# Losses that compare whole batches, and how.
WITHOUT_MINER = {"centroid_triplet": "compares with all centroids", "fastap": "ranks the whole batch"}
WITHOUT_MINER |= dict.fromkeys(CROSS_VIEW, "compares all pairs of a batch")
# The default miners of losses that have one.
OWN_MINERS = {"multi_similarity": "multi_similarity", "triplet": "semihard"}
