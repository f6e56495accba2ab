"""The memory of answers: bounded, and never older than the last change that was heard of."""

from maru_gateway.cache import AnswerCache
from maru_gateway.upstream import Answer

KEY = ("default", "/api/v1/ideas", b"limit=20")


def answer(body: bytes = b"[]") -> Answer:
    return Answer(200, [(b"content-type", b"application/json")], body)


def test_an_answer_is_kept_until_its_workspace_changes() -> None:
    cache = AnswerCache(1_000_000)
    kept = cache.keep(KEY, answer(), cache.generation("default"))

    cache.drop("other")
    assert cache.find(KEY) == kept
    cache.drop("default")
    assert cache.find(KEY) is None


def test_an_answer_that_a_change_overtook_is_not_kept() -> None:
    cache = AnswerCache(1_000_000)
    before = cache.generation("default")

    cache.drop("default")
    cache.keep(KEY, answer(), before)

    assert cache.find(KEY) is None


def test_the_memory_is_bounded_also_when_the_questions_are_long() -> None:
    cache = AnswerCache(100_000)

    for number in range(1_000):
        question = ("default", "/api/v1/ideas", b"q=" + b"%d" % number * 1_000)
        cache.keep(question, answer(), cache.generation("default"))

    kept = [
        number
        for number in range(1_000)
        if cache.find(("default", "/api/v1/ideas", b"q=" + b"%d" % number * 1_000))
    ]
    assert 0 < len(kept) < 100
    assert kept[-1] == 999


def test_equal_answers_have_equal_tags_and_others_have_others() -> None:
    cache = AnswerCache(0)

    def tag(body: bytes) -> bytes:
        return dict(cache.keep(KEY, answer(body), 0).headers)[b"etag"]

    assert tag(b"a") == tag(b"a") != tag(b"b")
