from uuid import UUID

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from maru_ideas.domain import matching
from maru_ideas.domain.matching import SHAPING, Closeness, Shelf, idea_id
from maru_ideas.domain.space import SIZE, UNIT, Vectors, scaled, trained
from maru_ideas.domain.terms import scripts

LATIN, HANGUL = scripts("word"), scripts("낱말")
CLOSENESS = Closeness(threshold=0.3, across=0.2, growth=0.015)


def a_vector(subject: int, seed: int = 0, noise: float = 0.5) -> Vectors:
    middle = np.random.default_rng(subject).normal(size=(1, SIZE))
    blurred = middle + noise * np.random.default_rng([subject, seed]).normal(size=(1, SIZE))
    return scaled(np.rint(blurred * 1000), UNIT)[0]


def a_shelf(closeness: Closeness = CLOSENESS) -> Shelf:
    return Shelf(trained(), closeness)


def put(shelf: Shelf, vector: Vectors, post: int) -> UUID:
    match = shelf.nearest(vector, LATIN)
    if match is None:
        match = shelf.found(idea_id(UUID(int=post)), vector, LATIN)
    else:
        shelf.join(match.place, vector, LATIN)
    return shelf.ids[match.place]


def restored(shelf: Shelf) -> Shelf:
    copy = a_shelf()
    places = range(len(shelf))
    if places:
        sums = np.stack([shelf.sum_of(place) for place in places])
        shapers = [shelf.shapers_of(place) for place in places]
        copy.restore(shelf.ids, sums, shapers, [shelf.scripts_of(place) for place in places])
    return copy


def test_posts_of_one_subject_meet_and_others_do_not() -> None:
    shelf = a_shelf()

    ideas = [put(shelf, a_vector(n % 3, seed=n), post=n) for n in range(30)]

    assert len(set(ideas)) == 3
    assert [ideas[n] for n in range(30)] == [idea_id(UUID(int=n % 3)) for n in range(30)]


def test_of_equally_near_ideas_the_oldest_is_chosen() -> None:
    shelf = a_shelf()
    vector = a_vector(1)
    shelf.found(UUID(int=1), vector, LATIN)
    shelf.found(UUID(int=2), vector, LATIN)

    match = shelf.nearest(vector, LATIN)

    assert match is not None
    assert match.place == 0


def test_an_empty_shelf_has_nothing_near() -> None:
    assert a_shelf().nearest(a_vector(1), LATIN) is None


def test_a_text_without_any_meaning_founds_its_own_idea() -> None:
    shelf = a_shelf()
    shelf.found(UUID(int=1), a_vector(1), LATIN)

    assert shelf.nearest(np.zeros(SIZE, np.int8), LATIN) is None


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=60))
def test_restarts_change_nothing(posts: list[tuple[int, bool]]) -> None:
    steady, restarted = a_shelf(), a_shelf()

    for number, (subject, restart) in enumerate(posts):
        vector = a_vector(subject, seed=number, noise=1.2)
        expected = put(steady, vector, number)
        restarted = restored(restarted) if restart else restarted
        assert put(restarted, vector, number) == expected


def test_a_grown_idea_stops_moving_and_its_sum_fits() -> None:
    shelf = a_shelf()
    shelf.found(UUID(int=1), np.full(SIZE, 127, np.int8), LATIN)
    for _ in range(SHAPING + 10):
        shelf.join(0, np.full(SIZE, 127, np.int8), LATIN)

    assert shelf.shapers_of(0) == SHAPING
    assert shelf.sum_of(0).max() == SHAPING * 127 < 2**15


def test_a_bigger_idea_asks_for_more_nearness() -> None:
    needed, across = CLOSENESS.needed()

    assert needed[1] == round(0.3 * UNIT * UNIT)
    assert across[1] == round(0.2 * UNIT * UNIT)
    assert all(needed[1:-1] <= needed[2:])


def test_an_idea_without_words_in_the_posts_script_asks_for_less() -> None:
    shelf = a_shelf()
    vector = a_vector(1, seed=1, noise=0.0)
    shelf.found(UUID(int=1), vector, LATIN)
    away = a_vector(2, seed=2, noise=0.0).astype(np.float64)
    near = scaled(np.rint(1000 * (0.25 * vector + 0.968 * away))[None], UNIT)[0]

    assert shelf.nearest(near, LATIN) is None
    assert shelf.nearest(near, LATIN | HANGUL) is None
    match = shelf.nearest(near, HANGUL)
    assert match is not None

    shelf.join(match.place, near, HANGUL)
    assert shelf.scripts_of(match.place) == LATIN | HANGUL


def test_scripts_are_told_by_words_and_not_by_acronyms() -> None:
    assert scripts("PDF 내보내기 추가해 주세요!") == HANGUL
    assert scripts("다크 모드 please") == LATIN | HANGUL
    assert scripts("Додайте темну тему") not in {0, LATIN, HANGUL}
    assert scripts("123 !!! :)") == 0


def test_the_search_stays_bounded_and_still_finds_the_idea() -> None:
    shelf = a_shelf()
    count = matching.LOOKED_AT * 2
    vectors = [a_vector(subject, noise=0.0) for subject in range(count)]
    sums = np.stack(vectors).astype(np.int16)
    shelf.restore([UUID(int=n) for n in range(count)], sums, [1] * count, [LATIN] * count)

    looked_at = shelf.candidates(vectors[7])
    found = [shelf.nearest(vectors[n], LATIN) for n in range(0, count, 97)]

    assert 0 < len(looked_at) <= matching.LOOKED_AT
    assert [match.place for match in found if match] == list(range(0, count, 97))


def test_growing_beyond_what_is_looked_at_changes_nothing_that_is_near() -> None:
    # One by one over the bound, and all at once from the database: the same cells, the same ideas.
    count = matching.LOOKED_AT + 3
    vectors = [a_vector(subject, noise=0.0) for subject in range(count)]
    grown = a_shelf()
    start = count - 8
    sums = np.stack(vectors).astype(np.int16)
    ones = [1] * count
    scripts_of_all = [LATIN] * count
    ids = [UUID(int=n) for n in range(count)]
    grown.restore(ids[:start], sums[:start], ones[:start], scripts_of_all[:start])
    for n in range(start, count):
        grown.found(ids[n], vectors[n], LATIN)
    whole = a_shelf()
    whole.restore(ids, sums, ones, scripts_of_all)

    for n in (0, 9, start, count - 1):
        assert grown.nearest(vectors[n], LATIN) == whole.nearest(vectors[n], LATIN)
        assert np.array_equal(grown.candidates(vectors[n]), whole.candidates(vectors[n]))
