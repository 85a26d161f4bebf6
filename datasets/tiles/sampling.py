"""Sampling rotated crops from tiles so that each pixel is the mean over its area.

A pixel of a crop that covers f x f pixels of the map is the mean of s x s bilinear samples, s = ceil(f), evenly spread
over its area. Colours of empty pixels are 0, so the sum of the colours over the sum of the weights leaves them out.
"""

import cv2
import numpy as np
import torch

EXACT = 0.05  # a pixel that covers 1.05 pixels of the map is one sample
SAMPLES = 16  # at most along a side; tiles of fitting zooms need two


def samples_per_side(matrix: np.ndarray) -> int:
    """Returns s for an affine map from pixels of a crop to pixels of the map, (2, 3)."""
    covered = float(np.linalg.norm(matrix[:, :2], axis=1).max())
    return int(np.clip(np.ceil(covered - EXACT), 1, SAMPLES))


def sample_on_cpu(pixels: np.ndarray, slots: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Returns a crop, uint8 (4, size, size), whose last channel is the share of its area that is not empty.

    Args:
        pixels: pixels of the tiles, uint8 (n, s, s, 4).
        slots: the tiles under the crop, int (rows, columns).
        matrix: matrix from pixels of the crop to pixels of these tiles, (2, 3).
        size: side of the crop in pixels.
    """
    canvas, corner = _shown(pixels, slots, matrix, size)
    samples = samples_per_side(matrix)
    # Coordinates have the middle of a pixel at .5, OpenCV has it at 0.
    scaled = matrix.copy()
    scaled[:, 2] -= corner
    scaled[:, :2] /= samples
    scaled[:, 2] += scaled[:, :2].sum(axis=1) / 2 - 0.5
    wide = (samples * size, samples * size)
    crop = cv2.warpAffine(canvas, scaled, wide, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    if samples > 1:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return np.stack(cv2.split(crop))


def _shown(pixels: np.ndarray, slots: np.ndarray, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rectangle of the tiles that a crop shows, uint8 (h, w, 4), and its corner, int (column, row)."""
    side = pixels.shape[1]
    reached = matrix @ [[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]]
    first = np.maximum(np.floor(reached.min(axis=1)).astype(int) - 1, 0)
    stop = np.minimum(np.ceil(reached.max(axis=1)).astype(int) + 1, side * np.array(slots.shape[::-1]))
    canvas = np.empty((stop[1] - first[1], stop[0] - first[0], 4), np.uint8)
    for row in range(first[1] // side, -(-stop[1] // side)):
        top, bottom = max(first[1], row * side), min(stop[1], (row + 1) * side)
        for column in range(first[0] // side, -(-stop[0] // side)):
            left, right = max(first[0], column * side), min(stop[0], (column + 1) * side)
            tile = pixels[slots[row, column], top - row * side : bottom - row * side]
            shown = tile[:, left - column * side : right - column * side]
            canvas[top - first[1] : bottom - first[1], left - first[0] : right - first[0]] = shown
    return canvas, first


def sample_on_device(pixels: torch.Tensor, slots: np.ndarray, matrices: np.ndarray, size: int) -> torch.Tensor:
    """Returns crops, float32 (b, 4, size, size) from 0 to 255, as `sample_on_cpu` does, of several crops on any device.

    Args:
        pixels: pixels of the tiles, uint8 (n, s, s, 4).
        slots: the tiles under each crop, int (b, rows, columns).
        matrices: matrices from pixels of the crop to pixels of its tiles, (b, 2, 3); all need as many samples as the
            first.
        size: side of the crops in pixels.
    """
    samples, side, device = samples_per_side(matrices[0]), pixels.shape[1], pixels.device
    tiles = torch.from_numpy(slots).to(device)
    matrix = torch.from_numpy(matrices).to(device, torch.float32)
    along = torch.arange(size, device=device, dtype=torch.float32)
    total = torch.zeros(len(slots), size, size, 4, device=device)
    crop = torch.arange(len(slots), device=device)[:, None, None]
    bottom, right = slots.shape[1] * side - 1, slots.shape[2] * side - 1
    for part in range(samples**2):
        down = along + (part // samples + 0.5) / samples
        across = along + (part % samples + 0.5) / samples
        places = matrix[:, :, 0, None, None] * across + matrix[:, :, 1, None, None] * down[:, None]
        places += matrix[:, :, 2, None, None] - 0.5
        x, y = places.unbind(1)
        left, top = x.floor(), y.floor()
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            column, row = (left + dx).long().clamp(0, right), (top + dy).long().clamp(0, bottom)
            weight = (1 - (x - left - dx).abs()) * (1 - (y - top - dy).abs())
            slot = tiles[crop, row // side, column // side]
            total += weight[..., None] * pixels[slot, row % side, column % side]
    return total.permute(0, 3, 1, 2) / samples**2


def finish(sampled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the colours, uint8 (b, 3, h, w), and which pixels have one, bool (b, h, w), of samples (b, 4, h, w).

    A pixel has a colour if half of its area is not empty; the others are 0.
    """
    images, weight = sampled[:, :3], sampled[:, 3]
    seen = weight >= 127.5
    # Rounding leaves a weight of 254 where nothing is empty.
    partly = ~(weight >= 253.5).flatten(1).all(dim=1)
    if bool(partly.any()):
        whole = images[partly].float() * (255 / weight[partly].float().clamp_min(1))[:, None] * seen[partly][:, None]
        images[partly] = whole.round().clamp(0, 255).to(images.dtype)
    if images.is_floating_point():
        images = images.round().clamp(0, 255).to(torch.uint8)
    return images, seen
