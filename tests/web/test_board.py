"""What a reader can do on the board, in a real browser."""

import re

import pytest
from playwright.async_api import expect

from web.conftest import Board, Visitor
from web.fake_gateway import KEY
from web.sample_ideas import IDEAS

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DARK_MODE = IDEAS[0]


async def test_ideas_are_ranked_with_their_counts_and_moods(visit: Visitor) -> None:
    seen = await visit()

    first = seen.page.get_by_role("article").first
    await expect(first.get_by_role("heading")).to_have_text(DARK_MODE["title"])
    await expect(first.get_by_role("heading")).to_have_attribute("lang", "ko")
    await expect(first).to_contain_text("48")
    await expect(first).to_contain_text("voices")
    await expect(first).to_contain_text("Planned")
    await expect(first).to_contain_text("Community, Review")
    await expect(first.get_by_role("img")).to_have_attribute(
        "aria-label", "Mood: 29 negative, 24 neutral, 10 positive"
    )
    assert seen.errors == []


async def test_the_list_goes_on_as_the_reader_scrolls(visit: Visitor) -> None:
    seen = await visit()
    await expect(seen.page.get_by_role("article")).to_have_count(20)

    await seen.page.mouse.wheel(0, 10_000)

    await expect(seen.page.get_by_role("article")).to_have_count(32)
    assert seen.errors == []


async def test_filters_narrow_the_list_and_stay_in_the_address(visit: Visitor) -> None:
    seen = await visit()

    await seen.page.get_by_label("Status").select_option("shipped")

    await expect(seen.page.get_by_role("article")).to_have_count(1)
    await expect(seen.page).to_have_url(re.compile(r"\?status=shipped$"))
    await seen.page.reload()
    await expect(seen.page.get_by_role("article")).to_have_count(1)
    await seen.page.get_by_role("searchbox").fill("no such words")
    await expect(seen.page.get_by_text("No idea fits")).to_be_visible()
    await seen.page.get_by_role("button", name="Clear filters").click()
    await expect(seen.page.get_by_role("article")).to_have_count(20)


async def test_an_idea_shows_every_post_and_a_score_that_adds_up(visit: Visitor) -> None:
    seen = await visit()
    await seen.page.get_by_role("link", name=DARK_MODE["title"]).click()

    await expect(seen.page.get_by_role("heading", level=1)).to_have_text(DARK_MODE["title"])
    await expect(seen.page.get_by_role("article")).to_have_count(5)
    await expect(seen.page.get_by_text("Rated 4 of 5").first).to_be_attached()
    await expect(seen.page.get_by_text("★★★★☆").first).to_be_visible()
    original = seen.page.get_by_role("link", name="Original on").first
    await expect(original).to_have_attribute("rel", "noopener noreferrer nofollow ugc")
    points = await seen.page.get_by_role("cell").all_inner_texts()
    *terms, total = [float(it) for it in points]
    assert sum(terms) == pytest.approx(total) == DARK_MODE["score"]
    await expect(seen.page.get_by_text("Mina Park")).to_have_count(0)
    assert seen.errors == []


async def test_back_returns_to_the_same_place_in_the_list(visit: Visitor) -> None:
    seen = await visit()
    await expect(seen.page.get_by_role("article")).to_have_count(20)
    await seen.page.mouse.wheel(0, 10_000)
    await expect(seen.page.get_by_role("article")).to_have_count(32)
    last = seen.page.get_by_role("article").last
    await last.scroll_into_view_if_needed()
    before = await seen.page.evaluate("() => scrollY")
    await last.get_by_role("link").click()
    await expect(seen.page.get_by_role("heading", name="The posts behind it")).to_be_visible()

    await seen.page.go_back()

    await expect(seen.page.get_by_role("article")).to_have_count(32)
    await seen.page.wait_for_function("y => Math.abs(scrollY - y) < 2", arg=before)


async def test_changes_are_offered_and_never_jump_in(visit: Visitor, board: Board) -> None:
    seen = await visit()
    first = seen.page.get_by_role("article").first
    await expect(first).to_contain_text("48")

    board.state.ideas[0] |= {"voices": 49}
    board.state.changed += [DARK_MODE["id"], IDEAS[1]["id"], DARK_MODE["id"]]

    offer = seen.page.get_by_role("button", name="2 ideas changed Show")
    await expect(offer).to_be_visible()
    await expect(first).not_to_contain_text("49")
    await offer.click()
    await expect(first).to_contain_text("49")
    await expect(offer).to_have_count(0)


async def test_the_words_of_a_deleted_post_go_at_once(visit: Visitor, board: Board) -> None:
    listed, read = await visit(), await visit(f"/ideas/{DARK_MODE['id']}")
    gone = board.state.ideas.pop(1)
    words = DARK_MODE["title"]
    await expect(listed.page.get_by_text(gone["title"])).to_be_visible()
    await expect(read.page.get_by_role("heading", name=words)).to_be_visible()

    board.state.ideas[0] |= {"title": "Night theme, please"}
    board.state.kind = "evidence_removed"
    board.state.changed += [DARK_MODE["id"], gone["id"]]

    await expect(listed.page.get_by_text("Night theme, please")).to_be_visible()
    await expect(listed.page.get_by_text(gone["title"])).to_have_count(0)
    await expect(listed.page.get_by_text(words)).to_have_count(0)
    await expect(read.page.get_by_role("heading", name="Night theme, please")).to_be_visible()


async def test_an_empty_board_fills_by_itself(visit: Visitor, board: Board) -> None:
    ideas, board.state.ideas = board.state.ideas, []
    seen = await visit()
    await expect(seen.page.get_by_text("Nothing heard yet")).to_be_visible()

    board.state.ideas = ideas
    board.state.changed.append(DARK_MODE["id"])

    await expect(seen.page.get_by_role("article")).to_have_count(20)


async def test_a_problem_is_told_and_can_be_tried_again(visit: Visitor, board: Board) -> None:
    board.state.failing = True
    seen = await visit()
    alert = seen.page.get_by_role("alert")
    await expect(alert).to_contain_text("The ideas service is starting; try again.")

    board.state.failing = False
    await alert.get_by_role("button", name="Try again").click()

    await expect(seen.page.get_by_role("article")).to_have_count(20)


async def test_a_closed_board_asks_for_a_key(visit: Visitor, board: Board) -> None:
    board.state.closed = True
    seen = await visit()
    await expect(seen.page.get_by_text("This board needs a key")).to_be_visible()

    await seen.page.get_by_role("button", name="Sign in").click()
    await seen.page.get_by_role("textbox", name="API key").fill("maru_wrong")
    await seen.page.keyboard.press("Enter")
    await expect(seen.page.get_by_role("alert")).to_have_text("The gateway does not know this key.")
    await seen.page.get_by_role("textbox", name="API key").fill(KEY)
    await seen.page.keyboard.press("Enter")

    await expect(seen.page.get_by_role("article")).to_have_count(20)
    await expect(seen.page.get_by_text("Workspace default")).to_be_visible()
    assert seen.errors == []


async def test_a_key_in_the_address_is_used_and_taken_away(visit: Visitor) -> None:
    seen = await visit(f"/ideas/{DARK_MODE['id']}#key={KEY}")

    await expect(seen.page.get_by_text("김하늘")).to_be_visible()
    assert "key" not in seen.page.url
    await seen.page.reload()
    await expect(seen.page.get_by_text("김하늘")).to_be_visible()
    await seen.page.get_by_role("button", name="Sign out").click()
    await expect(seen.page.get_by_text("김하늘")).to_have_count(0)
    assert await seen.page.evaluate("() => sessionStorage.length") == 0


async def test_an_owner_moves_an_idea_and_sees_a_refusal(visit: Visitor) -> None:
    seen = await visit(f"/ideas/{DARK_MODE['id']}#key={KEY}")

    await seen.page.get_by_role("button", name="Move to “Declined”").click()
    await expect(seen.page.get_by_role("alert")).to_have_text(
        "An idea that is planned cannot be declined."
    )
    await seen.page.get_by_role("button", name="Move to “In progress”").click()

    await expect(seen.page.get_by_text("Status is now “In progress”.")).to_be_visible()
    await expect(seen.page.get_by_role("button", name="Move to “Shipped”")).to_be_visible()


async def test_discovered_topics_are_shown_adopted_and_dismissed(visit: Visitor) -> None:
    seen = await visit(f"/#key={KEY}")

    await seen.page.get_by_role("link", name="Topics").click()
    battery, delivery = (seen.page.get_by_role("article").nth(at) for at in (0, 1))
    await expect(battery.get_by_role("heading")).to_have_text("battery · 배터리")
    await expect(battery.get_by_text("12 posts")).to_be_visible()
    await expect(battery.get_by_text("12.5% of all posts")).to_be_visible()
    await expect(battery.get_by_role("img", name="Posts by day: 2 days")).to_be_visible()
    await expect(battery.get_by_text("Rising")).to_have_count(0)
    await expect(delivery.get_by_text("Rising")).to_be_visible()
    await battery.get_by_text("Examples").click()
    await expect(battery.get_by_text("배터리가 너무 빨리 닳아요")).to_be_visible()

    await delivery.get_by_role("button", name="Adopt").click()
    await expect(seen.page.get_by_role("alert")).to_contain_text("already")
    await battery.get_by_role("button", name="Adopt").click()
    await expect(battery.get_by_text("tagged with “battery · 배터리”")).to_be_visible()
    await delivery.get_by_role("button", name="Dismiss").click()
    await expect(seen.page.get_by_role("article")).to_have_count(1)
    assert await seen.page.evaluate("() => window.pwned") is None


async def test_topics_are_reordered_and_need_a_key(visit: Visitor) -> None:
    seen = await visit(f"/topics#key={KEY}")
    first = seen.page.get_by_role("article").first.get_by_role("heading")

    await expect(first).to_contain_text("battery")
    await seen.page.get_by_role("button", name="Fastest growing").click()
    await expect(first).to_contain_text("delivery")

    await seen.page.get_by_role("button", name="Sign out").click()
    await expect(seen.page.get_by_text("This board needs a key")).to_be_visible()
    await expect(seen.page.get_by_role("article")).to_have_count(0)


async def test_topics_name_their_product(visit: Visitor) -> None:
    seen = await visit(f"/topics#key={KEY}")
    battery, delivery = (seen.page.get_by_role("article").nth(at) for at in (0, 1))

    await expect(battery.get_by_text("Product: Maru Notes")).to_be_visible()
    await expect(delivery.get_by_text("Product:")).to_have_count(0)


async def test_own_topics_are_read_and_described_and_what_was_learnt_is_told(
    visit: Visitor, board: Board
) -> None:
    seen = await visit(f"/topics#key={KEY}")
    battery = seen.page.get_by_role("listitem").filter(has_text="drains the battery")
    await expect(battery.get_by_role("heading", name="battery")).to_be_visible()

    await battery.get_by_role("button", name="Change description").click()
    await battery.get_by_label("Description: battery").fill("How long it runs.")
    await battery.get_by_role("button", name="Save").click()
    await expect(battery.get_by_text("How long it runs.")).to_be_visible()
    assert board.state.defined[0]["description"] == "How long it runs."

    delivery = seen.page.get_by_role("listitem").filter(has_text="delivery").last
    await delivery.get_by_role("button", name="Change description").click()
    await delivery.get_by_label("Description").fill("")
    await delivery.get_by_role("button", name="Save").click()
    await expect(seen.page.get_by_role("alert")).to_contain_text("description or examples")

    row = seen.page.get_by_role("row").filter(has_text="Topics")
    await expect(row).to_contain_text("120")
    await expect(row).to_contain_text("85%")
    await expect(row).to_contain_text("Used")
    assert await seen.page.evaluate("() => window.pwned") is None
    assert seen.errors == []


async def test_a_declined_idea_is_not_said_to_be_on_hold_in_korean(
    visit: Visitor, board: Board
) -> None:
    board.state.ideas[0]["status"] = "declined"
    seen = await visit(f"/ideas/{DARK_MODE['id']}", locale="ko-KR")

    await expect(seen.page.get_by_text("채택하지 않음").first).to_be_visible()
    await expect(seen.page.get_by_text("보류")).to_have_count(0)


async def test_the_public_sees_no_status_buttons(visit: Visitor) -> None:
    seen = await visit(f"/ideas/{DARK_MODE['id']}")

    await expect(seen.page.get_by_role("heading", level=1)).to_be_visible()
    await expect(seen.page.get_by_role("button", name="Move to")).to_have_count(0)


async def test_a_contributor_corrects_a_post_by_keyboard_and_takes_it_back(
    visit: Visitor, board: Board
) -> None:
    seen = await visit(f"/ideas/{DARK_MODE['id']}#key={KEY}")
    post = seen.page.get_by_role("article").first
    await expect(post.get_by_text("Corrected by")).to_have_count(0)

    correct = post.get_by_role("button", name="Correct tags")
    await correct.focus()
    await seen.page.keyboard.press("Enter")
    await expect(correct).to_have_attribute("aria-expanded", "true")
    await post.get_by_label("Mood").select_option("positive")
    await post.get_by_label("Intent").select_option("praise")
    await post.get_by_role("button", name="Save").press("Enter")

    await expect(post.get_by_text("Corrected by 5f0c6c0e…")).to_be_visible()
    await expect(post.get_by_text("Maru says Negative, Suggestion")).to_be_visible()
    await expect(post.locator(".tags")).to_contain_text("Positive")
    await expect(post.get_by_role("status")).to_contain_text("no longer counts")
    await expect(correct).to_be_focused()
    assert board.state.posts[0]["sentiment"] == "positive"

    await correct.click()
    await post.get_by_role("button", name="Take back").click()
    await expect(post.get_by_text("Corrected by")).to_have_count(0)
    await expect(post.locator(".tags")).to_contain_text("Negative")
    assert board.state.posts[0]["correction"] is None
    assert seen.errors == []


async def test_topics_are_corrected_only_when_they_were_opened(
    visit: Visitor, board: Board
) -> None:
    assert board.state.posts[0]["topics"] == ["design"]
    seen = await visit(f"/ideas/{DARK_MODE['id']}#key={KEY}")
    post = seen.page.get_by_role("article").first

    await post.get_by_role("button", name="Correct tags").click()
    await post.get_by_role("button", name="Save").click()
    await expect(post.get_by_role("status")).to_contain_text("Saved")
    assert board.state.posts[0]["correction"]["topics"] is None

    await post.get_by_role("button", name="Correct tags").click()
    await post.get_by_role("button", name="Topics").click()
    await expect(post.get_by_label("looks")).to_be_checked()  # the name of `design` today
    await post.get_by_label("battery").check()
    await post.get_by_label("looks").uncheck()
    await post.get_by_role("button", name="Save").click()
    await expect(post.locator(".tags")).to_contain_text("#battery")
    assert board.state.posts[0]["topics"] == ["battery"]

    await post.get_by_role("button", name="Correct tags").click()
    await expect(post.get_by_label("battery")).to_be_checked()
    assert seen.errors == []


async def test_a_refused_correction_says_why_and_changes_nothing(
    visit: Visitor, board: Board
) -> None:
    seen = await visit(f"/ideas/{DARK_MODE['id']}#key={KEY}", locale="ko-KR")
    post = seen.page.get_by_role("article").first
    await post.get_by_role("button", name="태그 고치기").click()
    board.state.failing = True

    await post.get_by_label("감정").select_option("positive")
    await post.get_by_role("button", name="저장").click()

    await expect(post.get_by_role("alert")).to_contain_text("try again")
    await expect(post.locator(".tags")).to_contain_text("부정")
    assert seen.errors == []


async def test_the_public_corrects_nothing(visit: Visitor) -> None:
    seen = await visit(f"/ideas/{DARK_MODE['id']}")

    await expect(seen.page.get_by_role("article")).to_have_count(5)
    await expect(seen.page.get_by_role("button", name="Correct tags")).to_have_count(0)


async def test_the_browser_decides_the_language_until_the_reader_does(visit: Visitor) -> None:
    seen = await visit(locale="ko-KR")
    await expect(seen.page.locator("html")).to_have_attribute("lang", "ko")
    await expect(seen.page.get_by_role("article").first).to_contain_text("목소리")

    await seen.page.get_by_role("button", name="English").click()
    await seen.page.reload()

    await expect(seen.page.get_by_role("article").first).to_contain_text("voices")


async def test_an_unknown_idea_and_an_unknown_page_say_so(visit: Visitor) -> None:
    gone = await visit("/ideas/00000000-0000-0000-0000-000000000000")
    nowhere = await visit("/nowhere")

    await expect(gone.page.get_by_role("heading", name="No such idea")).to_be_visible()
    await expect(nowhere.page.get_by_role("heading", name="Nothing here")).to_be_visible()


async def test_an_idea_can_be_reached_and_read_by_keyboard(visit: Visitor) -> None:
    seen = await visit()
    await expect(seen.page.get_by_role("article")).to_have_count(20)

    await seen.page.keyboard.press("Tab")
    await expect(seen.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await seen.page.keyboard.press("Enter")
    for _ in range(7):
        await seen.page.keyboard.press("Tab")
    await expect(seen.page.get_by_role("link", name=DARK_MODE["title"])).to_be_focused()
    await seen.page.keyboard.press("Enter")

    await expect(seen.page.get_by_role("main")).to_be_focused()
    await expect(seen.page.get_by_role("heading", level=1)).to_have_text(DARK_MODE["title"])
