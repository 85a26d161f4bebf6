import torch

from augmentations.boxes import draw_boxes


def test_boxes_that_never_fit_are_the_ones_given():
    """A tenth as wide as high, with the whole area: never inside."""
    boxes = draw_boxes(5, 40, 40, (1.0, 1.0), (0.1, 0.1), otherwise=(0.0, 7.0))
    assert (boxes[:, 2] == 0).all() and (boxes[:, 3] == 7).all()
    assert (boxes[:, 0] <= 40).all() and (boxes[:, 1] <= 33).all()


def test_a_fixed_area_and_ratio():
    """A quarter of 40 x 80 with width = 2 height: 800 = 2 height^2."""
    boxes = draw_boxes(300, 40, 80, (0.25, 0.25), (2.0, 2.0), otherwise=(0.0, 0.0))
    assert (boxes[:, 2:] == torch.tensor([40.0, 20.0])).all()
    assert set(boxes[:, 0].int().tolist()) <= set(range(41)) and boxes[:, 1].max() == 20
