import numpy as np
import pytest

from retrieval.codes import CODECS, Binary, Coded, Int8, Joined, codec_facts, codec_from
from tests.retrieval.test_index import unit


def test_int8_by_hand():
    """Dimension 0 goes from -1 to 1 in 255 steps, dimension 1 is constant; a code stands for the middle of its step."""
    vectors = np.float32([[-1, 3], [1, 3], [0.1, 3]])
    codec = Int8.fit(vectors)
    codes = codec.encode(vectors)
    assert codes.dtype == np.uint8 and codec.width == 2
    assert codes[:, 0].tolist() == [0, 255, int(255 * 0.55)]
    assert np.allclose(codec.decode(codes)[:, 0], [-1 + 2 * 0.5 / 255, -1 + 2 * 255.5 / 255, -1 + 2 * 140.5 / 255])
    assert np.array_equal(codec.decode(codes)[:, 1], [3, 3, 3])
    assert codec.encode(np.float32([[-9, 0], [9, 0]]))[:, 0].tolist() == [0, 255]


def test_binary_by_hand():
    """Means 0 and 1, mean distances from them 2 and 1: values -2 or 2, and 0 or 2, before they have length 1."""
    vectors = np.float32([[-3, 0], [1, 0], [-1, 2], [3, 2]])
    codec = Binary.fit(vectors)
    codes = codec.encode(vectors)
    assert codec.width == 1 and codes[:, 0].tolist() == [0b00000000, 0b10000000, 0b01000000, 0b11000000]
    half = 1 / np.sqrt(2)
    assert np.allclose(codec.decode(codes), [[-1, 0], [1, 0], [-half, half], [half, half]])


@pytest.mark.parametrize("dim", [3, 8, 61])
@pytest.mark.parametrize("kind", CODECS)
def test_decoded_descriptors_are_near_and_codes_do_not_change_again(kind: str, dim: int):
    vectors = unit(np.random.default_rng(0), 400, dim) + 0.3
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codec = CODECS[kind].fit(vectors)
    codes = codec.encode(vectors)
    assert codes.shape == (400, codec.width)
    decoded = codec.decode(codes)
    assert decoded.dtype == np.float32 and decoded.shape == (400, dim)
    cosine = (decoded * vectors).sum(axis=1) / np.linalg.norm(decoded, axis=1)
    assert cosine.mean() > (0.9999 if kind == "int8" else 0.85)
    again = codec_from(kind, codec_facts(codec))
    assert np.array_equal(again.decode(codes), decoded)
    if kind == "int8":
        assert np.array_equal(codec.encode(decoded), codes)


@pytest.mark.parametrize("kind", [None, *CODECS])
def test_joined_arrays_are_indexed_like_one(kind: str | None):
    draw = np.random.default_rng(0)
    parts = [draw.normal(size=(count, 4)).astype(np.float16 if kind is None else np.float32) for count in (3, 1, 5)]
    if kind is not None:
        codecs = [CODECS[kind].fit(part) for part in parts]
        coded = [Coded(codec.encode(part), codec) for part, codec in zip(parts, codecs, strict=True)]
        parts, joined = [own[:] for own in coded], Joined(coded, 4)
        assert joined.nbytes == 9 * codecs[0].width
    else:
        joined = Joined(parts, 4)
        assert np.shares_memory(joined[0:3], parts[0]) and joined.nbytes == 9 * 8
    whole = np.concatenate(parts)
    assert (len(joined), joined.shape, joined.dtype) == (9, (9, 4), whole.dtype)
    for chosen in (slice(None), slice(1, 3), slice(2, 8), slice(5, 5), slice(0, 9, 3), slice(-2, None)):
        assert np.array_equal(joined[chosen], whole[chosen])
    for chosen in (np.array([8, 0, 3, 3]), np.array([[1, -1], [4, 2]]), np.zeros(0, int)):
        assert np.array_equal(joined[chosen], whole[chosen])
    assert Joined([], 4)[:].shape == (0, 4)
