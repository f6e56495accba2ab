import json
import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from maru_contracts.posts import MAX_TEXT, Author, Channel, Media, Metrics, Post, post_id
from maru_contracts.posts import Rating as Stars
from maru_ingest import domain
from maru_ingest.domain import Decision, Named, Origin, Seen
from maru_ingest.formats.parsed import Attachment, BadRow, ParsedPost, Rating

_NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
_ORIGIN = Origin("s1", "blog", "feed", "w", "p", Channel.BLOG)


def named(text: str = "dark mode", native_id: str = "a-1", **changes: object) -> Named:
    return domain.name_post(_ORIGIN, ParsedPost(native_id, text, **changes))  # type: ignore[arg-type]


def seen(post: Named, **changes: object) -> Seen:
    values: dict[str, object] = {
        "id": post.id,
        "fingerprint": post.fingerprint,
        "revision": 0,
        "owner": "s1",
        "published": True,
        "collected_at": _NOW - timedelta(days=1),
        "edited_at": post.post.edited_at,
    }
    return Seen(**{**values, **changes})  # type: ignore[arg-type]


def decide(
    posts: list[Named], *known: Seen, origin: Origin = _ORIGIN
) -> tuple[list[Decision], int]:
    latest = domain.latest(posts)
    decisions = domain.decide(origin, latest, {one.id: one for one in known}, now=_NOW)
    return decisions, len(posts) - len(decisions)


def test_the_id_is_the_contracts() -> None:
    assert named().id == str(post_id("w", "feed", "a-1"))


def test_a_bare_number_is_a_name_within_its_source_only() -> None:
    other = Origin("s2", "forum", "feed", "w", "p", Channel.BLOG)
    number = ParsedPost("17", "x")

    assert domain.name_post(_ORIGIN, number).id != domain.name_post(other, number).id
    assert named(native_id="1729384756102938475").native_id == "1729384756102938475"


def test_what_a_reply_answers_is_named_as_that_post_is_named() -> None:
    asked, reply = ParsedPost("17", "x"), ParsedPost("18", "y", in_reply_to="17")
    shared = ParsedPost("19", "x", reshared_from="17")
    name = domain.name_post(_ORIGIN, asked).native_id
    decisions, _ = decide([domain.name_post(_ORIGIN, post) for post in (reply, shared)])
    answer, passed = (json.loads(domain.wire(_ORIGIN, it, now=_NOW)) for it in decisions)

    assert answer["in_reply_to"] == name
    assert passed["reshared_from"] == name


def test_a_new_post_is_published_as_revision_zero() -> None:
    (decision,), duplicates = decide([named()])

    assert (decision.seen.revision, decision.seen.published, duplicates) == (0, False, 0)


def test_the_same_words_again_are_a_duplicate() -> None:
    post = named()

    assert decide([post], seen(post)) == ([], 1)


def test_likes_and_dates_make_no_new_revision() -> None:
    liked = named(metrics={"likes": 9}, created_at=_NOW)

    assert decide([liked], seen(named())) == ([], 1)


def test_an_edit_is_the_next_revision() -> None:
    (decision,), _ = decide([named("dark mode, please")], seen(named()))

    assert decision.seen.revision == 1


def test_other_stars_are_an_edit_even_with_the_same_words() -> None:
    rated = named(rating=Rating(2, 5))

    assert decide([named(rating=Rating(2, 5))], seen(rated)) == ([], 1)
    assert decide([named(rating=Rating(4, 5))], seen(rated))[0][0].seen.revision == 1


def test_what_was_announced_and_never_acknowledged_keeps_its_revision() -> None:
    post = named()

    (decision,), _ = decide([post], seen(post, published=False, revision=3))

    assert decision.seen.revision == 3


def test_an_edit_after_a_crash_does_not_reuse_the_announced_revision() -> None:
    (decision,), _ = decide([named("edited")], seen(named(), published=False, revision=3))

    assert decision.seen.revision == 4


def test_two_sources_with_different_words_do_not_take_turns() -> None:
    summary = named("dark…")
    other = seen(named(), owner="s2")

    assert decide([summary], other) == ([], 1)
    assert decide([summary], seen(named(), owner=None))[0][0].seen.revision == 1


def test_what_is_pushed_on_purpose_counts_even_from_another_source() -> None:
    pushed = Origin("s3", "hook", "feed", "w", "p", Channel.BLOG, pushed=True)

    (decision,), _ = decide([named("fixed")], seen(named(), owner="s2"), origin=pushed)

    assert (decision.seen.revision, decision.seen.owner) == (1, "s3")


def test_an_older_version_that_comes_late_changes_nothing() -> None:
    late = named("old words", edited_at=_NOW - timedelta(hours=2))
    known = seen(named("new words", edited_at=_NOW))

    assert decide([late], known) == ([], 1)


def test_of_one_batch_only_the_last_version_counts() -> None:
    decisions, duplicates = decide([named("v1"), named("x", "b-2"), named("v2")])

    assert [one.named.post.text for one in decisions] == ["x", "v2"]
    assert duplicates == 1


@given(st.permutations([0, 1, 2, 3]), st.integers(0, 3))
def test_versions_with_edit_times_converge_in_any_order(order: list[int], repeat: int) -> None:
    versions = [named(f"v{n}", edited_at=_NOW + timedelta(hours=n)) for n in range(4)]
    known: dict[str, Seen] = {}
    revisions = []
    for number in [*order, repeat]:
        decisions = domain.decide(_ORIGIN, [versions[number]], known, now=_NOW)
        for one in decisions:
            revisions.append(one.seen.revision)
            known[one.seen.id] = seen(one.named, revision=one.seen.revision)

    assert known[versions[0].id].fingerprint == versions[3].fingerprint
    assert revisions == sorted(set(revisions))


def test_a_post_without_words_is_rejected() -> None:
    assert isinstance(domain.as_row(ParsedPost("a", "")), BadRow)
    assert isinstance(domain.as_row(ParsedPost("a", "", title="t")), ParsedPost)


def wired(post: Named) -> Post:
    (decision,), _ = decide([post])
    return Post.model_validate_json(domain.wire(_ORIGIN, decision, now=_NOW))


def test_the_wire_says_everything_in_the_words_of_the_contract() -> None:
    post = wired(
        named(
            "text",
            title="title",
            url="https://example.com/a",
            author="haneul",
            author_name="하늘",
            followers=3,
            lang="ko",
            channel=Channel.REVIEW,
            created_at=_NOW,
            in_reply_to="r",
            reshared_from="s",
            media=(Attachment("image", "https://example.com/i.png", "alt"),),
            metrics={"likes": 1},
            rating=Rating(4, 5),
            truncated=True,
        )
    )

    assert post == Post(
        id=post_id("w", "feed", "a-1"),
        workspace="w",
        product="p",
        source_id="s1",
        channel=Channel.REVIEW,
        native_id="a-1",
        url="https://example.com/a",
        author=Author(handle="haneul", name="하늘", followers=3),
        title="title",
        text="text",
        truncated=True,
        lang_hint="ko",
        media=(Media(kind="image", url="https://example.com/i.png", alt="alt"),),
        created_at=_NOW,
        collected_at=_NOW,
        in_reply_to="r",
        reshared_from="s",
        metrics=Metrics(likes=1),
        rating=Stars(value=4, best=5),
    )


def test_a_title_alone_is_the_text_and_no_time_is_the_time_of_collection() -> None:
    post = wired(named("", title="Dark mode?"))

    assert (post.title, post.text, post.created_at) == ("", "Dark mode?", _NOW)


def test_the_largest_post_still_fits_into_the_log() -> None:
    media = tuple(
        Attachment("audio", "https://e.com/" + "x" * 7_900, "가" * 2_000, "가" * 5_000)
        for _ in range(10)
    )
    largest = named("\U0001f600" * MAX_TEXT, title="가" * 2_000, media=media)
    (decision,), _ = decide([largest])

    assert len(domain.wire(_ORIGIN, decision, now=_NOW)) < 1_000_000


@given(st.integers(1, 10_000), st.floats(-1e9, 1e12), st.randoms())
def test_backoff_is_bounded_and_honours_the_source(
    failures: int, asked: float, dice: random.Random
) -> None:
    wait = domain.backoff(failures, retry_after=asked, dice=dice)

    assert timedelta(seconds=2.5) <= wait <= timedelta(hours=1)
    assert wait >= timedelta(seconds=max(0.0, min(asked, 3600.0)))


def test_a_healthy_source_is_asked_no_more_often_than_it_wishes() -> None:
    dice = random.Random(1)
    hour, day = timedelta(hours=1), timedelta(days=1)

    assert hour <= domain.next_due(hour, timedelta(minutes=1), dice=dice) <= hour * 1.1
    assert 2 * hour <= domain.next_due(hour, 2 * hour, dice=dice) <= 2 * hour * 1.1
    assert domain.next_due(hour, 30 * day, dice=dice) <= day * 1.1


def test_an_import_has_the_same_source_everywhere() -> None:
    assert domain.import_source_id("w", "a") == domain.import_source_id("w", "a")
    assert domain.import_source_id("w", "a") != domain.import_source_id("v", "a")


class Ends(RuleBasedStateMachine):
    """Three sources and a push bring, edit and delete one post, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Seen] = {}
        self.revisions: list[int] = []
        self.is_ended = False
        self.silenced: set[str] = set()

    def origin(self, source: str) -> Origin:
        pushed = source == "push"
        return Origin(source, source, "feed", "w", "p", Channel.BLOG, pushed=pushed)

    @rule(source=st.sampled_from(["a", "b", "c", "push"]), text=st.sampled_from(["x", "y", "z"]))
    def bring(self, source: str, text: str) -> None:
        origin = self.origin(source)
        post = domain.name_post(origin, ParsedPost("n", text))
        (decision,) = domain.decide(origin, [post], self.known, now=_NOW) or [None]
        assert decision is None or not (self.is_ended or source in self.silenced)
        if decision is not None:
            assert decision.seen.deleted_at is None
            self.silenced.clear()
            self.publish(decision.seen)

    @rule(source=st.sampled_from(["a", "b", "c", "push"]))
    def delete(self, source: str) -> None:
        origin = self.origin(source)
        gone = domain.name_gone(origin, "n")
        was = self.known.get(gone.id)
        (removal,) = domain.remove(origin, [gone], self.known, now=_NOW) or [None]
        if was is None:
            owner = None if origin.pushed else source
            unseen = seen(named(), id=gone.id, fingerprint="", owner=owner)
            self.known[gone.id] = unseen._replace(edited_at=None, deleted_at=_NOW)
        elif removal is not None and removal.seen.fingerprint:
            assert not self.is_ended
            assert was.owner == source or origin.pushed
            self.publish(removal.seen)
        elif removal is not None:
            self.known[gone.id] = removal.seen
        self.note_end(source, self.known[gone.id])

    def note_end(self, source: str, now: Seen) -> None:
        self.is_ended = now.deleted_at is not None and (bool(now.fingerprint) or not now.owner)
        if now.deleted_at is not None:
            self.silenced.add(source)

    def publish(self, seen: Seen) -> None:
        self.known[seen.id] = seen._replace(published=True)
        self.revisions.append(seen.revision)

    @invariant()
    def revisions_grow_by_one(self) -> None:
        assert self.revisions == list(range(len(self.revisions)))


TestEnds = Ends.TestCase
