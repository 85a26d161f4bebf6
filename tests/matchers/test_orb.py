import numpy as np

from matchers.orb import Orb, hamming
from tests.matchers.pictures import check_matcher


def test_it_finds_the_movement_of_the_camera():
    check_matcher(Orb(), least=25)


def test_hamming_by_hand():
    first = np.array([[0b0000_0000, 0b1111_1111], [0b1010_1010, 0b0000_0001]], np.uint8)
    second = np.array([[0b0000_0001, 0b1111_1111], [0b0101_0101, 0b0000_0000]], np.uint8)
    assert hamming(first, second).tolist() == [[1, 4 + 8], [5 + 7, 8 + 1]]
    assert hamming(first[:0], second).shape == (0, 2)
    # 10101010 and 00000001 differ in five bits, 00000001 and 11111111 in seven.
