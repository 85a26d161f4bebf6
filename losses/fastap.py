"""FastAP."""

from pytorch_metric_learning.losses import FastAPLoss
from torch import nn

from losses.checks import check_range


def fastap(*, bins: int = 10) -> nn.Module:
    """FastAP (Cakir et al., Deep Metric Learning to Rank, CVPR 2019).

    https://openaccess.thecvf.com/content_CVPR_2019/html/Cakir_Deep_Metric_Learning_to_Rank_CVPR_2019_paper.html

    The mean over images of 1 - average precision, where the ranking of the batch by squared distance is softened into
    a histogram of equally spaced bins, so that it has a gradient. With h+_j the positives in bin j, H+_j those up to
    bin j, H_j all images up to it and P the positives:

        loss = 1 - 1/|P| sum over j of h+_j H+_j / H_j

    Args:
        bins: bins of the histogram of squared distances from 0 to 4, at least 2.
    """
    check_range("bins", bins, 2, 1000)
    return FastAPLoss(num_bins=bins)
