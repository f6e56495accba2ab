"""Whether a topic is spoken of more than before, and by more than chance."""

from math import sqrt

RISING = 2.0
"""Standard deviations from which on a topic rises: about one of forty would by chance."""


def growth(posts: int, before: int) -> float | None:
    """How many times as many posts a period has as the one before; None where that had none."""
    return round(posts / before, 4) if before else None


def surge(posts: int, before: int, every: int, every_before: int) -> float:
    """By how many deviations a topic has more posts than its share of both periods' would be.

    `every` and `every_before` count all posts of the product, so that a topic does not rise because
    everything does. Of the topic's posts in both periods the later ones are binomial with the
    product's proportion (Przyborowski and Wilenski, Biometrika 1940). 0 where nothing came before.
    """
    both = posts + before
    if not every or not every_before or not both:
        return 0.0
    later = every / (every + every_before)
    return (posts - both * later) / sqrt(both * later * (1 - later))


def is_rising(posts: int, before: int, every: int, every_before: int) -> bool:
    """Whether the surge is more than chance would often bring."""
    return surge(posts, before, every, every_before) >= RISING
