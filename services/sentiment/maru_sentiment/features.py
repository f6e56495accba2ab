"""Hashed n-grams of characters and words, computed for a whole batch at once in numpy.

A text becomes a bag of numbers below 2**20 ("the hashing trick", Weinberger et al. 2009): all
runs of 1 to 5 characters of its normalised form, across word borders, and all single words and
pairs of words. The hashes are part of the trained heads: change nothing here without training
them again.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BUCKETS = 1 << 20
MAX_CHARACTERS = 2_000
"""Characters of a text that are read."""

_CHARACTER_RUNS = (1, 2, 3, 4, 5)
_WORD, _PAIR = 11, 12
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SPACE = np.uint32(ord(" "))
_LINK = re.compile(r"https?://\S+|www\.\S+")
_HANDLE = re.compile(r"(?<!\w)@\w+")
_DIGITS = re.compile(r"\d+")
_STANDING_FOR = frozenset(("", "link", "@", "0"))
_LONG_RUN = re.compile(r"(.)\1{3,}", re.DOTALL)

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bags:
    """The features of n texts: text i has `buckets[starts[i]:starts[i] + sizes[i]]`."""

    buckets: Ints
    starts: Ints
    sizes: Ints


def normalise(text: str) -> str:
    """Fold what does not change the meaning: case, width, links, handles, digits, long runs."""
    text = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).lower()
    if "://" in text or "www." in text:
        text = _LINK.sub(" link ", text)
    if "@" in text:
        text = _HANDLE.sub(" @ ", text)
    text = _DIGITS.sub("0", text)
    text = _LONG_RUN.sub(r"\1\1\1", text)
    return " ".join(text.split())[:MAX_CHARACTERS]


def is_silent(normalised: str) -> bool:
    """Tell whether nothing is said: no character but blanks, links, handles, digits, controls."""
    return all(
        word in _STANDING_FOR or _seen(word) in _STANDING_FOR for word in normalised.split(" ")
    )


def _seen(word: str) -> str:
    """Return the word without controls and signs of no width, which pasted text brings along."""
    return word if word.isprintable() else "".join(filter(str.isprintable, word))


def bags(texts: Sequence[str]) -> Bags:
    """Hash the n-grams of normalised texts; every text has at least one feature."""
    padded = [f" {text} " for text in texts]
    sizes = np.array([len(text) for text in padded], np.int64)
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "replace"), np.uint32)
    owner = np.repeat(np.arange(len(texts)), sizes)
    parts = [*_character_runs(codes, owner), *_words(codes, owner)]
    buckets = np.concatenate([hashes for hashes, _ in parts])
    owners = np.concatenate([of for _, of in parts])
    order = np.argsort(owners, kind="stable")
    counts = np.bincount(owners, minlength=len(texts))
    return Bags(buckets[order], np.cumsum(counts) - counts, counts)


def _character_runs(codes: npt.NDArray[np.uint32], owner: Ints) -> list[tuple[Ints, Ints]]:
    found = []
    rolling = np.zeros(len(codes), np.uint64)
    for length in _CHARACTER_RUNS:
        # rolling[i] is the hash of the `length` characters that begin at i.
        rolling = rolling[: max(0, len(codes) - length + 1)] * _MIX + codes[length - 1 :]
        within = owner[: len(rolling)] == owner[length - 1 :]
        found.append((_bucket(rolling[within], length), owner[: len(rolling)][within]))
    return found


def _words(codes: npt.NDArray[np.uint32], owner: Ints) -> list[tuple[Ints, Ints]]:
    inside = codes != _SPACE
    begins = np.flatnonzero(inside[1:] & ~inside[:-1]) + 1
    if not len(begins):
        return []
    # The hash of a word is the sum of its characters, each times a power that tells its place.
    place = np.arange(begins[0], len(codes)) - np.repeat(begins, np.diff(begins, append=len(codes)))
    powers = np.cumprod(np.full(int(place.max()) + 1, _MIX))
    weighted = np.where(inside, codes, 0)[begins[0] :].astype(np.uint64) * powers[place]
    hashes = np.add.reduceat(weighted, begins - begins[0])
    of = owner[begins]
    same = of[1:] == of[:-1]
    pairs = hashes[:-1][same] * _MIX + hashes[1:][same]
    return [(_bucket(hashes, _WORD), of), (_bucket(pairs, _PAIR), of[:-1][same])]


def _bucket(hashes: npt.NDArray[np.uint64], kind: int) -> Ints:
    """Spread 64-bit hashes over the buckets (the finaliser of MurmurHash3), apart by kind."""
    mixed = hashes + np.uint64(kind * int(_MIX) % 2**64)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    return (mixed & np.uint64(BUCKETS - 1)).astype(np.int64)
