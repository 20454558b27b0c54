"""Many decimal numbers from text at once, each as exact as Python's ``float``."""

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]

# Integers below 2^53 and powers of ten up to 10^22 are exact in float64, so that a quotient
# of the two is rounded once, as it should be (W. D. Clinger, "How to read floating point
# numbers accurately", PLDI 1990).
MAX_INTEGER = 2.0**53
MAX_DIGITS = 15


def find_words(text: bytes) -> tuple[Places, Places]:
    """Where each word begins, and where it ends; all bytes up to the blank separate words."""
    is_word = np.zeros(len(text) + 2, dtype=np.bool_)
    np.greater(_bytes(text), ord(" "), out=is_word[1:-1])
    edges = np.flatnonzero(is_word[1:] != is_word[:-1])
    return edges[::2], edges[1::2]


def numbers(text: bytes, begins: Places, ends: Places, columns: list[int]) -> NDArray[np.float64]:
    """(N, R) the numbers in some columns of a table; a word that is none raises a ``ValueError``.

    :param begins: (N, C) where each word of the text begins, row by row
    :param ends: (N, C) where it ends
    :param columns: R of the columns
    """
    values = np.empty((len(begins), len(columns)))
    padded = _bytes(bytes(MAX_DIGITS) + text + bytes(MAX_DIGITS + 1))
    begins_of, ends_of = begins[:, columns], ends[:, columns]
    points = _find_points(text, begins_of.ravel(), ends_of.ravel()).reshape(begins_of.shape)
    words: list[bytes] = []
    for index, column in enumerate(columns):
        places = (np.ascontiguousarray(of[:, index]) for of in (begins_of, ends_of, points))
        values[:, index], is_plain = _plain_numbers(padded, *places)
        others = np.flatnonzero(~is_plain)
        if len(others):
            words = words or text.split()
            one_column = words[column :: begins.shape[1]]
            values[others, index] = [float(one_column[row]) for row in others.tolist()]
    return values


def _bytes(text: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(text, dtype=np.uint8)


def _find_points(text: bytes, begins: Places, ends: Places) -> Places:
    """The first decimal point of each word, or the word's end if it has none."""
    points = np.flatnonzero(_bytes(text) == ord("."))
    has_one_each = len(points) == len(begins)
    if has_one_each and bool(((points >= begins) & (points < ends)).all()):
        return points
    if len(points) == 0:
        return ends
    nearest = points.take(np.searchsorted(points, begins), mode="clip")
    return np.where((nearest >= begins) & (nearest < ends), nearest, ends)


def _plain_numbers(
    text: NDArray[np.uint8], begins: Places, ends: Places, points: Places
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The value of each word that is but digits, not too many, with a sign and a point.

    :param text: with MAX_DIGITS bytes before, and one more behind, that belong to no word
    :return: the values, and for which words they hold
    """
    signs = text[MAX_DIGITS:].take(begins)
    is_negative = signs == ord("-")
    num_whole = points - begins - (is_negative | (signs == ord("+")))
    num_decimals = np.maximum(ends - points - 1, 0)
    most_whole, most_decimals = int(num_whole.max()), int(num_decimals.max())
    values = np.zeros(len(begins))
    if max(most_whole, most_decimals) > MAX_DIGITS:
        return values, np.zeros(len(begins), dtype=np.bool_)
    is_plain = num_whole + num_decimals > 0
    for counts, places in (
        (num_whole, range(-most_whole, 0)),
        (num_decimals, range(1, most_decimals + 1)),
    ):
        least = counts.min()
        for place in places:
            digits = text[MAX_DIGITS + place :].take(points)
            digits -= ord("0")
            if abs(place) > least:
                digits *= counts >= abs(place)
            is_plain &= digits <= 9
            values *= 10
            values += digits
    is_plain &= values < MAX_INTEGER
    values /= 10.0**most_decimals
    return np.negative(values, out=values, where=is_negative), is_plain
