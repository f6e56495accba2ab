"""An oracle that cannot say no proves nothing: each kind of fault must be named."""

from uuid import UUID

from faults.oracle import Arrived, Counted, judge

TRUTH = {"a": ("ann", "one"), "b": ("ann", "two"), "c": ("bo", "three")}
A, B, C, X = (UUID(int=number) for number in range(1, 5))
POSTS = [Arrived(A, "a", "one"), Arrived(B, "b", "two"), Arrived(C, "c", "three")]
IDEA = Counted(id=UUID(int=9), evidence_count=3, voices=2, evidence=[A, B, C])
STREAMS = {"collected": [["a", "b", "c"]], "tagged": [["a", "b", "b", "c"]]}


def test_a_perfect_run_has_no_faults() -> None:
    assert judge(TRUTH, POSTS, [IDEA], STREAMS).faults() == {}


def test_a_missing_post_is_lost() -> None:
    assert judge(TRUTH, POSTS[1:], [], STREAMS).faults()["lost"] == ["a"]


def test_a_post_from_nowhere_is_a_phantom() -> None:
    assert judge(TRUTH, [*POSTS, Arrived(X, "x", "?")], [], {}).faults()["phantom"] == ["x"]


def test_a_post_stored_twice_is_a_duplicate() -> None:
    assert judge(TRUTH, [*POSTS, POSTS[0]], [], {}).faults()["duplicate"] == ["a"]


def test_evidence_in_two_ideas_is_a_duplicate() -> None:
    other = Counted(id=UUID(int=8), evidence_count=1, voices=1, evidence=[A])

    assert "duplicate" in judge(TRUTH, POSTS, [IDEA, other], {}).faults()


def test_a_changed_text_is_corrupt() -> None:
    posts = [Arrived(A, "a", "ONE"), *POSTS[1:]]

    assert judge(TRUTH, posts, [], {}).faults()["corrupt"] == ["a"]


def test_counts_that_do_not_follow_from_the_evidence_are_named() -> None:
    wrong = Counted(id=IDEA.id, evidence_count=4, voices=2, evidence=[A, B, C])
    voices = Counted(id=IDEA.id, evidence_count=3, voices=3, evidence=[A, B, C])

    assert "miscounted" in judge(TRUTH, POSTS, [wrong], {}).faults()
    assert "miscounted" in judge(TRUTH, POSTS, [voices], {}).faults()


def test_posts_that_overtake_each_other_are_out_of_order() -> None:
    streams = {"collected": [["a", "b", "c"]], "tagged": [["a", "c", "b"]]}

    assert "out_of_order" in judge(TRUTH, POSTS, [], streams).faults()
