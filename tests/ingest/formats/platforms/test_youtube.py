import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import ParsedPost, Unreadable

DATA = "fixtures/python-youtube/testdata"


def posts(value: object) -> list[ParsedPost]:
    return [row for row in payloads.read(value).rows if isinstance(row, ParsedPost)]


def comment(**snippet: object) -> dict[str, object]:
    stated = {"textDisplay": "Nice", "authorDisplayName": "@a", "publishedAt": "2026-01-01"}
    return {"kind": "youtube#comment", "id": "Ug1", "snippet": {**stated, **snippet}}


def test_a_thread_gives_its_comment_and_the_replies(shared: Path) -> None:
    file = shared / DATA / "modeldata/comments/comment_thread_info.json"
    first, reply = posts(json.loads(file.read_bytes()))

    assert (first.native_id, first.text) == ("UgydxWWoeA7F1OdqypJ4AaABAg", "Actions.ai")
    assert (first.author, first.author_name) == ("UCe9i1nJCcevTa6KJa55KYog", "Loren Robilio")
    assert first.created_at == datetime(2019, 6, 23, 8, 24, 24, tzinfo=UTC)
    assert first.in_reply_to == "D-lhorsDlUQ"
    assert first.url == (
        "https://www.youtube.com/watch?v=D-lhorsDlUQ&lc=UgydxWWoeA7F1OdqypJ4AaABAg"
    )
    assert first.metrics == {"likes": 0, "replies": 1}
    assert reply.in_reply_to == first.native_id
    assert reply.metrics == {"likes": 1}
    assert reply.channel is Channel.VIDEO


def test_a_video_is_one_post_wherever_it_is_listed(shared: Path) -> None:
    folder = shared / DATA / "apidata"
    (video,) = posts(json.loads((folder / "videos/videos_info_single.json").read_bytes()))
    found = posts(json.loads((folder / "search/search_by_keywords_p1.json").read_bytes()))
    (listed,) = posts(
        json.loads((folder / "playlist_items/playlist_items_single.json").read_bytes())
    )

    assert (video.native_id, video.title) == (
        "D-lhorsDlUQ",
        "What are Actions on Google (Assistant on Air)",
    )
    assert video.url == "https://www.youtube.com/watch?v=D-lhorsDlUQ"
    assert (video.author, video.author_name) == ("UC_x5XG1OV2P6uZZ5FSM9Ttw", "Google Developers")
    assert [one.kind for one in video.media] == ["image", "video"]
    assert listed.native_id == "H1HZyvc0QnI"
    assert listed.title == "Google I/O'19 - I/O Live (Day 1 Composite)"
    assert "gQ_1zX-F_No" in {post.native_id for post in found}
    assert all(post.truncated == post.text.endswith("...") for post in found)


def test_how_far_a_video_went(shared: Path) -> None:
    (video,) = posts(json.loads((shared / DATA / "modeldata/videos/video_info.json").read_bytes()))

    assert video.metrics == {"views": 8087, "likes": 190, "replies": 32}
    assert video.lang == "en"


def test_upload_activities_are_videos_and_likes_are_not(shared: Path) -> None:
    activity = json.loads((shared / DATA / "modeldata/activities/activity.json").read_bytes())
    like = {**activity, "snippet": {**activity["snippet"], "type": "like"}}

    (upload,) = posts([activity, like])

    assert (upload.native_id, upload.title, upload.text) == (
        "JE8xdDp5B8Q",
        "华山日出",
        "冷冷的山头",
    )


def test_a_video_that_is_gone_from_a_playlist_is_deleted() -> None:
    item = {
        "kind": "youtube#playlistItem",
        "id": "UEx",
        "snippet": {"title": "Deleted video", "resourceId": {"videoId": "abc"}},
    }
    document = payloads.read({"kind": "youtube#playlistItemListResponse", "items": [item]})

    assert (list(document.rows), document.deleted) == ([], ("abc",))


@pytest.mark.parametrize(
    ("display", "shown"),
    [
        ("a<br>b &amp; c", "a\nb & c"),
        ('<a href="https://www.youtube.com/watch?v=x&amp;t=61">1:01</a> 여기', "1:01 여기"),
        ("I <3 this & that", "I <3 this & that"),
        (None, ""),
    ],
)
def test_comments_come_as_html_or_as_text(display: str, shown: str) -> None:
    assert [post.text for post in posts(comment(textDisplay=display))] == [shown]


def test_what_is_held_for_review_or_private_has_no_public_channel() -> None:
    thread = {
        "kind": "youtube#commentThread",
        "snippet": {"topLevelComment": comment(), "isPublic": False},
    }
    video = {"kind": "youtube#video", "id": "v", "status": {"privacyStatus": "private"}}

    assert [post.channel for post in posts(thread)] == [Channel.OTHER]
    assert [post.channel for post in posts(video)] == [Channel.OTHER]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("apidata/channels/info.json", "a YouTube channel holds no posts"),
        ("apidata/playlists/playlists_mine.json", "a YouTube playlist holds no posts"),
        ("apidata/videos/get_rating_response.json", "a YouTube video get rating response"),
        ("apidata/error_permission_resp.json", "Permission denied: SERVICE_UNAVAILABLE"),
        ("error_response.json", "an API's error, not posts: Bad Request: keyInvalid"),
    ],
)
def test_errors_and_other_kinds_say_what_they_are(shared: Path, file: str, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        payloads.parse((shared / DATA / file).read_bytes())

    assert reason in str(error.value)


def test_a_used_up_quota_is_told_in_googles_words() -> None:
    told = {
        "message": 'You have exceeded your <a href="/youtube">quota</a>.',
        "domain": "youtube.quota",
        "reason": "quotaExceeded",
    }
    with pytest.raises(Unreadable) as error:
        payloads.read({"error": {"code": 403, "message": told["message"], "errors": [told]}})

    assert "YouTube answers with an error: You have exceeded your quota" in str(error.value)
    assert "quotaExceeded" in str(error.value)


def test_an_activity_is_no_address_of_a_video() -> None:
    said = {"type": "upload", "title": "t", "channelId": "c", "publishedAt": "2026-01-01T00:00:00Z"}
    activity = {"kind": "youtube#activity", "id": "MTUxNTc0", "snippet": said}
    video = {"contentDetails": {"upload": {"videoId": "JE8xdDp5B8Q"}}}

    nameless, named = posts([activity, {**activity, **video}])

    assert (nameless.native_id, nameless.url, nameless.title) == ("", "", "t")
    assert named.native_id == "JE8xdDp5B8Q"
