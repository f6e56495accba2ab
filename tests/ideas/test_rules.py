from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ideas.factories import NOON, a_tagged
from maru_contracts.ideas import Status
from maru_contracts.posts import Channel
from maru_contracts.tags import IntentLabel, Mood, TaggedPost, ToxicPart
from maru_ideas.domain import ideas as rules
from maru_ideas.domain.ideas import Backed, NewVoices
from maru_ideas.domain.lifecycle import MOVES, MoveNotAllowed
from maru_ideas.domain.scoring import Weights, score, terms
from maru_ideas.domain.search import squeezed, wanted
from maru_ideas.domain.summarising import SUMMARY, TITLE, quote, sentences, shortened
from maru_ideas.domain.tally import Heard, Tally
from maru_ideas.domain.voices import voice

BOTH_NEW = NewVoices(whole=True, public=True)
POSTS = st.builds(
    a_tagged,
    native_id=st.uuids().map(str),
    channel=st.sampled_from([Channel.REVIEW, Channel.MAIL, Channel.CALL]),
    mood=st.sampled_from(["negative", "neutral", "positive"]),
    language=st.sampled_from(["ko", "en", "fr"]),
    topics=st.lists(st.sampled_from(["sync", "price"]), unique=True),
    at=st.integers(-400, 400).map(lambda days: NOON + timedelta(days=days)),
)


def an_idea() -> Backed:
    return Backed(id=UUID(int=1), workspace="default", product="app")


def heard(idea: Backed, tagged: TaggedPost, voices: NewVoices = BOTH_NEW) -> Backed:
    return rules.heard(idea, tagged, quote(tagged, 0.5), voices, half_life=30)


@given(st.lists(POSTS, min_size=1, max_size=20))
def test_counts_equal_the_evidence_and_terms_add_up(posts: list[TaggedPost]) -> None:
    idea = an_idea()
    for tagged in posts:
        idea = heard(idea, tagged)

    shown = rules.seen(idea, Weights())

    assert shown.evidence_count == sum(shown.mood.values()) == len(posts) == shown.version
    assert shown.score == pytest.approx(sum(shown.terms.values()), abs=1e-9)
    assert set(shown.languages) == {tagged.language for tagged in posts}
    assert set(shown.channels) == {tagged.post.channel for tagged in posts}
    assert shown.first_seen == min(tagged.post.created_at for tagged in posts)
    assert shown.last_seen == max(tagged.post.created_at for tagged in posts)


@given(st.lists(POSTS, min_size=1, max_size=20))
def test_the_public_face_knows_only_public_posts(posts: list[TaggedPost]) -> None:
    idea = an_idea()
    for tagged in posts:
        idea = heard(idea, tagged)

    shown = rules.seen_in_public(idea, Weights())

    public = [tagged for tagged in posts if tagged.post.channel == Channel.REVIEW]
    assert (shown is not None) == bool(public)
    if shown:
        assert shown.evidence_count == sum(shown.mood.values()) == len(public)
        assert set(shown.channels) == {Channel.REVIEW}
        assert set(shown.languages) == {tagged.language for tagged in public}


@given(POSTS, POSTS)
def test_an_edit_leaves_the_counts_as_if_it_had_always_been_so(
    first: TaggedPost, edited: TaggedPost
) -> None:
    edited = edited.model_copy(update={"post": first.post})

    changed = rules.corrected(heard(an_idea(), first), Heard.of(first), edited, 0.5)

    assert changed.whole.tally == heard(an_idea(), edited).whole.tally
    assert changed.version == 2


def test_an_edited_quote_is_quoted_as_it_now_reads() -> None:
    first = a_tagged(text="Please add a secret phone number")
    edited = a_tagged(text="Please add a night theme", revision=1)

    idea = rules.corrected(heard(an_idea(), first), Heard.of(first), edited, 0.5)

    assert rules.seen(idea, Weights()).title == "Please add a night theme"


def test_a_private_post_is_not_quoted_once_a_public_one_is_there() -> None:
    private = a_tagged("1", channel=Channel.MAIL, text="Please add single sign-on for Acme Corp")
    public = a_tagged("2", text="sso pls")

    idea = heard(heard(an_idea(), private), public)

    assert rules.seen(heard(an_idea(), private), Weights()).title == private.post.text
    assert rules.seen(idea, Weights()).title == "sso pls"


def test_old_posts_count_half_after_each_half_life() -> None:
    old, new = (Heard.of(a_tagged(at=NOON + timedelta(days=days))) for days in (0, 30))

    in_order = Tally().plus(old, new_voice=True, half_life=30)
    in_order = in_order.plus(new, new_voice=True, half_life=30)
    late = Tally().plus(new, new_voice=True, half_life=30).plus(old, new_voice=True, half_life=30)

    assert in_order.heat == late.heat == pytest.approx(1.5)


def test_a_date_in_the_future_is_not_believed() -> None:
    tagged = a_tagged()
    post = tagged.post.model_copy(update={"created_at": NOON + timedelta(days=30_000)})

    assert Heard.of(tagged.model_copy(update={"post": post})).at == NOON


@pytest.mark.parametrize("mood", ["neutral", "negative"])
def test_more_voices_and_more_trouble_weigh_more(mood: Mood) -> None:
    few = Tally().plus(Heard.of(a_tagged(mood="neutral")), new_voice=True, half_life=30)
    more = few.plus(Heard.of(a_tagged(mood=mood)), new_voice=True, half_life=30)

    assert score(terms(more, Weights())) > score(terms(few, Weights()))


@pytest.mark.parametrize("wanted_status", MOVES)
@pytest.mark.parametrize("current", MOVES)
def test_only_allowed_moves_are_made(current: Status, wanted_status: Status) -> None:
    idea = Backed(id=UUID(int=1), workspace="w", product="", status=current)

    if wanted_status in MOVES[current]:
        assert rules.moved(idea, wanted_status).status == wanted_status
    else:
        with pytest.raises(MoveNotAllowed):
            rules.moved(idea, wanted_status)


def test_every_status_can_be_left_and_reached() -> None:
    assert all(MOVES.values())
    assert {status for targets in MOVES.values() for status in targets} == set(MOVES)


def test_a_person_is_one_voice_and_a_stranger_each_time_another() -> None:
    assert voice(a_tagged("1").post) == voice(a_tagged("2").post)
    assert voice(a_tagged("1").post) != voice(a_tagged("2", author="lee").post)
    assert voice(a_tagged("1").post) != voice(a_tagged("2", channel=Channel.MAIL).post)
    assert voice(a_tagged("1", author=None).post) != voice(a_tagged("2", author=None).post)
    assert "kim" not in voice(a_tagged("1").post)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello team! Great app. Please add a dark mode. Thanks!", "Please add a dark mode."),
        ("안녕하세요. 잘 쓰고 있습니다. 다크 모드 추가해 주세요!", "다크 모드 추가해 주세요!"),
        ("Bonjour, top ! Il manque un mode sombre. Merci", "Il manque un mode sombre."),
        ("I cannot log in since the update", "I cannot log in since the update"),
        ("👍", "👍"),
        ("", "…"),
    ],
)
def test_the_title_is_what_is_asked_for(text: str, title: str) -> None:
    assert quote(a_tagged(text=text), 1.0).title == title


@given(st.text(max_size=400), st.text(max_size=100))
def test_titles_are_short_and_never_empty(text: str, title: str) -> None:
    chosen = quote(a_tagged(text=text, title=title), 1.0)

    assert 0 < len(chosen.title) <= TITLE
    assert chosen.summary
    assert chosen == quote(a_tagged(text=text, title=title), 1.0)


def test_toxic_sentences_are_in_neither_title_nor_summary() -> None:
    text = "You are all idiots. Please add a dark mode! Or I will find you. Thanks for the app"
    toxic = ["You are all idiots.", "Or I will find you."]

    said = quote(a_tagged(text=text, title="Idiots, add it", toxic=[*toxic, "Idiots, add it"]), 1.0)

    assert said.title == "Please add a dark mode!"
    assert said.summary == "Please add a dark mode! Thanks for the app"


@pytest.mark.parametrize(
    ("language", "intent", "topics", "title", "summary"),
    [
        ("en", "problem", ["sync and backup"], "Problem: sync and backup", "{} (not quoted)"),
        ("en", "suggestion", ["search", "price"], "Suggestion: search, price", "{} (not quoted)"),
        ("en", "other", [], "Post (not quoted)", "{}"),
        ("de", "praise", [], "Praise (not quoted)", "{}"),
        ("ko", "problem", ["동기화"], "문제: 동기화", "{} (인용하지 않음)"),
        ("ko", "question", [], "질문 (인용하지 않음)", "{}"),
    ],
)
def test_a_post_of_which_nothing_may_be_quoted_is_named_by_what_it_is_about(
    language: str, intent: IntentLabel, topics: list[str], title: str, summary: str
) -> None:
    text = "The sync broke, you morons"

    said = quote(
        a_tagged(text=text, toxic=[text], language=language, intent=intent, topics=topics), 1.0
    )

    assert (said.title, said.summary) == (title, summary.format(title))
    assert said.worth < quote(a_tagged(text="👍"), 0.0).worth


def test_a_name_of_topics_fits_a_title() -> None:
    said = quote(a_tagged(text="morons", toxic=["morons"], topics=["x" * 100, "y" * 100]), 1.0)

    assert len(said.title) <= TITLE
    assert len(said.summary) <= SUMMARY


@given(
    st.text(max_size=60),
    st.text(max_size=60),
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70))),
)
def test_no_word_of_a_toxic_part_is_quoted(
    title: str, text: str, spans: list[tuple[int, int]]
) -> None:
    # A letter that occurs nowhere else stands for the toxic words.
    words = list(text.replace("Ж", "x"))
    parts = [ToxicPart(start=min(it), end=min(max(it), len(words))) for it in spans]
    for part in parts:
        words[part.start : part.end] = "Ж" * len(words[part.start : part.end])
    tagged = a_tagged(text="".join(words), title=title.replace("Ж", "x"))

    said = quote(tagged.model_copy(update={"toxic": tuple(parts)}), 1.0)

    assert "Ж" not in said.title + said.summary
    assert said.title
    assert said.summary


@pytest.mark.parametrize(
    "phrase",
    ["꼭 고쳐 주세요.", "이 문제부터 해결해 주세요!", "확인 부탁드려요", "의견을 들려주세요."],
)
def test_a_request_that_names_nothing_is_no_title(phrase: str) -> None:
    assert sentences(f"사진을 첨부하면 앱이 꺼져요. {phrase}") == ["사진을 첨부하면 앱이 꺼져요."]
    assert sentences("로그인 오류부터 고쳐 주세요.") == ["로그인 오류부터 고쳐 주세요."]


def test_greetings_links_and_empty_phrases_are_no_sentences() -> None:
    assert sentences("Hi there! See https://x.example/y now. Thanks!!! Please fix it.") == [
        "See now."
    ]


def test_a_long_text_is_cut_between_words() -> None:
    assert shortened("one two three four", 12) == "one two…"


@pytest.mark.parametrize(
    "question", ["다크모드를", "다크 모드", "다크모드", "다크 모드에서", "추가"]
)
def test_korean_is_found_whatever_its_spaces_and_particles(question: str) -> None:
    text = squeezed("제발 다크 모드 추가해 주세요!")

    assert all(piece in text for piece in wanted(question))


def test_words_of_a_question_may_stand_apart() -> None:
    text = squeezed("Export: please, to EXCEL")

    assert all(piece in text for piece in wanted("excel export"))
    assert not all(piece in text for piece in wanted("pdf export"))
