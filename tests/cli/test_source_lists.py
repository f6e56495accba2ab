"""`maru sources import`, `export`, and the address of a page given to `maru sources add`."""

from pathlib import Path

import pytest

from cli.conftest import Maru
from upstreams.feed import FeedServer, feed_server_beside

_LINK = b'<link rel="alternate" type="application/rss+xml" title="%b" href="/%b.xml">'
_LIST = """<opml version="2.0"><body><outline text="Notes">
<outline type="rss" text="블로그" xmlUrl="https://a.example/feed"/></outline>
<outline type="rss" text="Broken" xmlUrl="gopher://b.example"/></body></opml>"""


def a_page(server: FeedServer, *names: bytes) -> str:
    server.mode = "raw"
    server.body = b"<html><head>" + b"".join(_LINK % (name, name) for name in names)
    return server.url("/blog")


def looking(home: Path, server: FeedServer) -> Maru:
    return Maru(home / "home", {"MARU_INGEST_ALLOW_HOSTS": f'["{server.host}"]'})


def test_a_list_is_imported_and_exported(maru: Maru, tmp_path: Path) -> None:
    (tmp_path / "feeds.opml").write_text(_LIST)

    done = maru.run("sources", "import", str(tmp_path / "feeds.opml"), "--folders-as-products")
    again = maru.run("sources", "import", str(tmp_path / "feeds.opml"))
    exported = maru.run("sources", "export").stdout.decode()

    assert done.stdout == b"1 feeds added, 0 known already, 1 refused\n"
    assert done.stderr.startswith(b"Broken gopher://b.example: ")
    assert done.returncode == 1
    assert again.stdout == b"0 feeds added, 1 known already, 1 refused\n"
    assert '<outline text="Notes">' in exported
    assert 'xmlUrl="https://a.example/feed"' in exported
    (source,) = maru.json("sources", "list")
    assert (source["name"], source["product"]) == ("블로그", "Notes")


@pytest.mark.parametrize("written", [None, b"<html>no list</html>"])
def test_what_is_no_list_is_one_sentence(maru: Maru, tmp_path: Path, written: bytes | None) -> None:
    if written is not None:
        (tmp_path / "feeds.opml").write_bytes(written)

    done = maru.run("sources", "import", str(tmp_path / "feeds.opml"))

    assert done.returncode == 1
    assert done.stderr.startswith(b"maru: ")
    assert done.stderr.count(b"\n") == 1


def test_the_feed_of_a_page_is_followed(tmp_path: Path) -> None:
    with feed_server_beside() as server:
        maru = looking(tmp_path, server)
        added = maru.json("sources", "add", "feed", "Blog", "--url", a_page(server, b"news"))

        assert added["settings"]["url"] == server.url("/news.xml")


def test_a_page_with_several_feeds_names_them(tmp_path: Path) -> None:
    with feed_server_beside() as server:
        maru = looking(tmp_path, server)
        done = maru.run("sources", "add", "feed", "Blog", "--url", a_page(server, b"one", b"two"))

        assert done.returncode == 1
        assert server.url("/one.xml").encode() in done.stderr
        assert server.url("/two.xml").encode() in done.stderr
        assert maru.json("sources", "list") == []


def test_a_page_without_a_feed_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    with feed_server_beside() as server:
        maru, page = looking(tmp_path, server), a_page(server)
        done = maru.run("sources", "add", "feed", "Blog", "--url", page)
        added = maru.json("sources", "add", "feed", "Blog", "--url", page, "--no-look")

        assert done.returncode == 1
        assert b"--no-look" in done.stderr
        assert added["settings"]["url"] == page


@pytest.mark.parametrize(("path", "says"), [("/feed.xml", "answers 404"), ("", "has no address")])
def test_an_address_that_gives_nothing_is_not_followed_unless_it_is_meant(
    tmp_path: Path, path: str, says: str
) -> None:
    with feed_server_beside() as server:
        server.mode, server.status = "status", 404
        maru = looking(tmp_path, server)
        url = server.url(path) if path else "http://nowhere.invalid/feed"
        done = maru.run("sources", "add", "feed", "Blog", "--url", url)

        assert (done.returncode, maru.json("sources", "list")) == (1, [])
        assert says in done.stderr.decode()
        assert b"--no-look" in done.stderr
        added = maru.json("sources", "add", "feed", "Blog", "--url", url, "--no-look")
        assert added["settings"]["url"] == url


def test_a_feed_that_needs_a_key_is_added_without_a_look(tmp_path: Path) -> None:
    with feed_server_beside() as server:
        server.mode, server.status = "status", 401
        url = server.url()
        key = ("--set", "authorization=Bearer x")
        looking(tmp_path, server).json("sources", "add", "feed", "Blog", "--url", url, *key)

        assert not server.requests
