import csv
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.conftest import Maru

SUBJECTS = Path(__file__).parents[1] / "ideas" / "subjects-ko-en.tsv"


def test_settings_are_listed_and_secrets_hidden(tmp_path: Path) -> None:
    maru = Maru(tmp_path, {"MARU_SERVICE_TOKEN": "hush-hush", "MARU_PORT": "9000"})

    rows = {row["env"]: row for row in maru.json("settings")}

    assert rows["MARU_SERVICE_TOKEN"]["value"] == "********"
    assert (rows["MARU_PORT"]["value"], rows["MARU_PORT"]["source"]) == ("9000", "environment")
    assert rows["MARU_LOG_LEVEL"]["source"] == "default"


@pytest.mark.parametrize(
    ("env", "value"),
    [
        ("MARU_PORT", "web"),
        ("MARU_LOG_LEVEL", "loud"),
        ("MARU_INGEST_CONCURRENCY", "many"),
        ("MARU_INGEST_ALLOW_HOSTS", "a.local:80"),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(tmp_path: Path, env: str, value: str) -> None:
    done = Maru(tmp_path, {env: value}).run("settings")

    assert done.returncode == 1
    assert done.stderr.startswith(f"maru: {env}: ".encode())
    assert done.stderr.count(b"\n") == 1


def test_sources_are_added_paused_resumed_and_removed(maru: Maru) -> None:
    url = "https://example.com/feed"
    added = maru.json("sources", "add", "feed", "Blog", "--url", url, "--no-look")

    paused = maru.json("sources", "pause", added["id"])
    resumed = maru.json("sources", "resume", added["id"])
    listed = maru.json("sources", "list")
    maru.json("sources", "remove", added["id"])

    assert (paused["state"], resumed["state"]) == ("paused", "active")
    assert [source["name"] for source in listed] == ["Blog"]
    assert maru.json("sources", "list") == []


def test_the_list_of_sources_says_whose_credentials_end_soon(maru: Maru) -> None:
    soon = datetime.now(UTC) + timedelta(days=3)
    names = {"Desk": soon, "Shop": soon + timedelta(days=30), "Fair": None}
    for name, ends in names.items():
        added = maru.json("sources", "add", "webhook", name)
        credentials_end(maru, added["id"], ends)

    listed = maru.run("sources", "list").stdout.decode()
    rows = {name: next(it for it in listed.splitlines() if name in it) for name in names}

    assert f"credentials end {soon:%Y-%m-%d %H:%M}" in rows["Desk"]
    assert "expiring" in rows["Desk"]
    assert "credentials" not in rows["Shop"] + rows["Fair"]
    shop = next(it for it in maru.json("sources", "list") if it["name"] == "Shop")
    assert (
        f"credentials end {soon + timedelta(days=30):%Y-%m-%d}"
        in maru.run("sources", "show", shop["id"]).stdout.decode()
    )


def credentials_end(maru: Maru, source_id: str, at: datetime | None) -> None:
    """Note what a platform would have said."""
    with closing(sqlite3.connect(maru.home / "ingest.db")) as database, database:
        database.execute(
            "UPDATE sources SET credentials_expire_at = ? WHERE id = ?",
            (None if at is None else int(at.timestamp() * 1_000_000), source_id),
        )


def test_trying_a_source_out_shows_what_is_known_of_each_post(tmp_path: Path) -> None:
    rows = [
        {"id": "r-1", "title": "Slow", "text": "It takes ages", "stars": 2, "likes": 3,
         "parent_id": "q-9", "lang": "en", "updated_at": "2026-11-20T09:00:00Z"},
        {"text": "Dark mode?"},
        {"id": "r-3"},
    ]  # fmt: skip
    (tmp_path / "rows.ndjson").write_text("".join(f"{json.dumps(it)}\n" for it in rows), "utf-8")
    maru = Maru(tmp_path / "home", {"MARU_INGEST_FILES_ROOT": str(tmp_path)})

    done = maru.run("sources", "test", "file", "--path", "rows.ndjson")

    printed = done.stdout.decode()
    assert "Slow\nIt takes ages\n" in printed
    assert "id r-1 · edited 2026-11-20T09:00:00Z · rating 2/5 · likes 3 · answers q-9" in printed
    assert "no id" in printed
    assert b"line 3: no text" in done.stderr


def test_a_topic_is_defined_and_removed(maru: Maru) -> None:
    said = maru.run(
        "topics", "set", "off road & rain", "it gets wet", "비를 맞아요"
    ).stdout.decode()
    listed = {it["name"]: it["examples"] for it in maru.json("topics", "list")}
    maru.json("topics", "remove", "off road & rain")

    assert "off road & rain" in said
    assert listed["off road & rain"] == ["it gets wet", "비를 맞아요"]
    assert "off road & rain" not in [it["name"] for it in maru.json("topics", "list")]


def test_a_topic_is_described_and_renamed(maru: Maru) -> None:
    maru.json("topics", "set", "refunds", "--description", "Money that goes back.")
    maru.json("topics", "set", "refunds", "my money")
    described = {it["name"]: it for it in maru.json("topics", "list")}["refunds"]
    shown = maru.run("topics", "list").stdout.decode()
    renamed = maru.json("topics", "rename", "refunds", "returns & refunds")
    refused = maru.run("topics", "set", "empty")

    assert (described["description"], described["examples"]) == (
        "Money that goes back.",
        ["my money"],
    )
    assert "Money that goes back." in shown
    assert renamed["name"] == "returns & refunds"
    assert renamed["formerly"] == ["refunds"]
    assert refused.returncode == 1
    assert b"a description or examples" in refused.stderr


def test_what_posts_speak_of_is_discovered_adopted_and_dismissed(maru: Maru) -> None:
    with SUBJECTS.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    posts = [
        json.dumps({"id": str(at), "text": row["text"], "author": f"a{at}"}, ensure_ascii=False)
        for at, row in enumerate(rows)
    ]
    maru.run("import", "-", "--source", "x", "--wait", stdin="\n".join(posts).encode())

    found = maru.json("topics", "discovered")["topics"]
    shown = maru.run("topics", "discovered", "--growth").stdout.decode()
    adopted = maru.json("topics", "adopt", found[0]["id"], "--name", "first")
    maru.run("topics", "dismiss", found[1]["id"])
    left = maru.json("topics", "discovered")["topics"]
    maru.run("topics", "dismiss", found[1]["id"], "--undo")

    assert 4 <= len(found) <= 6
    assert all(set(it["languages"]) == {"en", "ko"} for it in found)
    assert "battery" in shown
    assert "배터리" in shown
    assert "first" in [it["name"] for it in maru.json("topics", "list")]
    assert adopted["examples"]
    assert [it["id"] for it in left] == [it["id"] for it in found if it["id"] != found[1]["id"]]
    assert left[0]["adopted_as"] == "first"
    assert maru.json("topics", "discovered")["topics"][1]["id"] == found[1]["id"]


def test_products_are_watched_and_compared(maru: Maru) -> None:
    maru.json("watch", "add", "own", "Maru Notes", "--alias", "마루 노트")
    maru.json("watch", "add", "competitor", "Cloverpad")
    listed = maru.json("watch", "list")
    share = maru.json("watch", "share", "--first", "2026-11-01", "--last", "2026-11-30")
    maru.json("watch", "remove", "Cloverpad")

    assert [(it["name"], it["kind"]) for it in listed] == [
        ("Cloverpad", "competitor"),
        ("Maru Notes", "own"),
    ]
    assert share == {"first": "2026-11-01", "last": "2026-11-30", "products": []}
    assert [it["name"] for it in maru.json("watch", "list")] == ["Maru Notes"]


def test_a_mood_is_corrected(maru: Maru) -> None:
    maru.json("corrections", "add", "War Zone", "neutral")

    assert [(it["term"], it["mood"]) for it in maru.json("corrections", "list")] == [
        ("War Zone", "neutral")
    ]
    maru.json("corrections", "remove", "War Zone")
    assert maru.json("corrections", "list") == []


def test_a_webhook_tells_its_secret_once(maru: Maru) -> None:
    added = maru.json("sources", "add", "webhook", "Desk", "--channel", "mail")

    assert added["secret"]
    assert added["secret"] not in json.dumps(maru.json("sources", "list"))


def test_a_refusal_is_one_sentence(maru: Maru) -> None:
    done = maru.run("sources", "add", "carrier-pigeon", "Coop")

    assert done.returncode == 1
    assert done.stderr.startswith(b"maru: ")
    assert b"Traceback" not in done.stderr


def test_keys_are_made_listed_and_revoked(maru: Maru) -> None:
    made = maru.json("keys", "create", "an app", "--role", "contributor")

    listed = {key["name"]: key for key in maru.json("keys", "list")}
    maru.json("keys", "revoke", made["id"])

    assert made["key"].startswith("maru_")
    assert listed["an app"]["role"] == "contributor"
    assert "an app" not in {key["name"] for key in maru.json("keys", "list")}


@pytest.mark.parametrize("since", ["beginning", "0", "2026-01-01", "2100-01-01T00:00:00Z"])
def test_replay_takes_a_time_an_offset_or_the_beginning(maru: Maru, since: str) -> None:
    maru.run("import", "-", "--source", "x", stdin=b'{"id":"1","text":"Add a widget please"}\n')

    replayed = maru.json("replay", "--topic", "posts.collected.v1", "--from", since)

    assert replayed["replayed"] == (0 if since.startswith("2100") else 1)


def test_replay_names_the_topics_there_are(maru: Maru) -> None:
    maru.json("sources", "list")

    done = maru.run("replay", "--topic", "posts.colected.v1", "--from", "beginning")

    assert done.returncode == 1
    assert b"posts.collected.v1" in done.stderr


def test_no_dead_letters_in_a_new_home(maru: Maru) -> None:
    assert maru.json("dead", "list") == []
    assert maru.json("dead", "replay") == {"replayed": 0}


def test_people_see_posts_with_their_words_and_whole_ids(maru: Maru) -> None:
    row = b'{"id":"1","text":"Please add a widget","author":"ann"}\n'
    maru.run("import", "-", "--source", "x", "--wait", stdin=row)
    [post] = maru.json("posts")
    [idea] = maru.json("ideas", "list")
    narrow = Maru(maru.home, {"COLUMNS": "80"})

    posts = narrow.run("posts").stdout.decode()
    ideas = narrow.run("ideas", "list").stdout.decode()

    assert "widget" in posts
    assert post["post"]["id"] in posts
    assert idea["id"] in ideas
    assert max(map(len, ideas.splitlines())) <= 80


def test_titles_have_room_in_a_narrow_terminal(maru: Maru) -> None:
    title = "Please let me sort the gallery by date and by size"
    row = {"id": "1", "text": title, "author": "ann"}
    maru.run("import", "-", "--source", "x", "--wait", stdin=json.dumps(row).encode())

    for width, least in (("80", 24), ("200", len(title))):
        printed = Maru(maru.home, {"COLUMNS": width})
        for command in (("posts",), ("ideas", "list")):
            lines = printed.run(*command).stdout.decode().splitlines()
            first = next(line for line in lines if "Please" in line)
            words = first[first.index("Please") :].split("  ")[0]
            assert len(words) >= least - len("gallery"), (width, command, lines)


def test_topics_of_posts_are_corrected_and_exported(maru: Maru, tmp_path: Path) -> None:
    rows = b'{"id":"1","text":"I want my money"}\n{"id":"2","text":"hello there"}\n'
    maru.run("import", "-", "--source", "x", "--wait", stdin=rows)
    ids = {it["post"]["text"]: it["post"]["id"] for it in maru.json("posts")}

    maru.json("posts", "correct", ids["I want my money"], "--topic", "price", "--topic", "payment")
    maru.json("posts", "correct", ids["hello there"], "--no-topic")
    both = maru.run("posts", "correct", ids["hello there"], "--no-topic", "--topic", "price")
    maru.json("corrections", "export", str(tmp_path / "topics.tsv"), "--for", "topics")

    lines = (tmp_path / "topics.tsv").read_text().splitlines()
    assert sorted(lines) == ["I want my money\tprice|payment", "hello there\t", "text\tlabel"]
    assert both.returncode == 1


def test_topics_learn_or_do_not(maru: Maru) -> None:
    off = maru.json("models", "learn", "topics", "no")
    heads = {it["head"]: it["state"] for it in maru.json("models", "learnt")["heads"]}

    assert off["learns"] is False
    assert heads == {"sentiment": "too_few", "intent": "too_few", "topics": "off"}


def test_a_filter_that_nothing_fits_is_not_an_empty_house(maru: Maru) -> None:
    assert b"No ideas yet" in maru.run("ideas", "list").stdout
    assert b"No idea fits that" in maru.run("ideas", "list", "--language", "xx").stdout
    assert b"No post fits that" in maru.run("posts", "-q", "nothing").stdout


def test_dead_letters_of_a_topic_that_is_not_there_are_refused(maru: Maru) -> None:
    maru.json("sources", "list")

    done = maru.run("dead", "replay", "--topic", "nosuch")

    assert done.returncode == 1
    assert b"There is no topic nosuch" in done.stderr


def test_a_file_that_is_no_text_is_one_sentence(maru: Maru, tmp_path: Path) -> None:
    (tmp_path / "junk.tsv").write_bytes(b"\x00\xff\xfe" * 50)

    done = maru.run("eval", "sentiment", str(tmp_path / "junk.tsv"))

    assert done.returncode == 1
    assert b"is no TSV file in UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["clusters", "discovery", "duplicates"])
def test_a_labelled_file_that_is_none_is_one_sentence(
    maru: Maru, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "junk.tsv").write_bytes(b"\x00\xff\xfe" * 50)

    junk = maru.run("eval", kind, str(tmp_path / "junk.tsv"))
    missing = maru.run("eval", kind, str(tmp_path / "missing.tsv"))

    assert (junk.returncode, missing.returncode) == (1, 1)
    assert b"is no TSV file in UTF-8" in junk.stderr
    assert b"missing.tsv can't be read: No such file" in missing.stderr
    assert b"Traceback" not in junk.stderr + missing.stderr


def test_corrections_can_t_be_exported_to_a_folder(maru: Maru, tmp_path: Path) -> None:
    done = maru.run("corrections", "export", str(tmp_path))

    assert done.returncode == 1
    assert done.stderr.decode() == f"maru: {tmp_path} can't be written: Is a directory\n"


def test_commands_work_where_services_ask_for_a_token(tmp_path: Path) -> None:
    maru = Maru(tmp_path, {"MARU_SERVICE_TOKEN": "between-services"})

    assert maru.json("keys", "create", "me", "--role", "admin")["key"].startswith("maru_")
    assert maru.json("sources", "list") == []


def test_a_table_for_another_program_keeps_titles_on_one_line(maru: Maru) -> None:
    wish = "Please let me sort my notes by colour"
    maru.run("import", "-", "--source", "x", "--wait", stdin=f'{{"text": "{wish}"}}'.encode())

    assert wish in maru.run("ideas", "list").stdout.decode()


def test_posts_are_corrected_exported_and_uncorrected(maru: Maru, tmp_path: Path) -> None:
    rows = b'{"id": "1", "text": "This is sick,\\tdude"}\n{"id": "2", "text": "It crashes"}\n'
    maru.run("import", "-", "--source", "x", "--wait", stdin=rows)
    sick, crash = sorted(maru.json("posts"), key=lambda it: str(it["post"]["text"]), reverse=True)
    files = [tmp_path / "moods.tsv", tmp_path / "intents.tsv"]

    corrected = maru.json("posts", "correct", sick["post"]["id"], "--mood", "positive")
    both = ("--mood", "negative", "--intent", "problem")
    maru.json("posts", "correct", crash["post"]["id"], *both)
    listed = maru.json("posts", "--corrected")
    maru.json("corrections", "export", str(files[0]))
    maru.json("corrections", "export", str(files[1]), "--for", "problem")
    measured = [
        json.loads(maru.run("eval", kind, str(file)).stdout)
        for kind, file in zip(("sentiment", "problem"), files, strict=True)
    ]
    maru.json("posts", "uncorrect", sick["post"]["id"])

    assert (corrected["sentiment"]["label"], corrected["correction"]["mood"]) == ("positive",) * 2
    assert len(listed) == 2
    assert sorted(files[0].read_text().splitlines()) == [
        "It crashes\tnegative",
        "This is sick, dude\tpositive",
        "text\tlabel",
    ]
    assert files[1].read_text().splitlines() == ["text\tlabel", "It crashes\tproblem"]
    assert [it["n"] for it in measured] == [2, 1]
    assert len(maru.json("posts", "--corrected")) == 1
    nothing = maru.run("posts", "correct", sick["post"]["id"])
    assert (nothing.returncode, b"--mood" in nothing.stderr) == (1, True)


def test_what_was_learnt_is_told_and_can_be_turned_off(maru: Maru) -> None:
    before = maru.json("models", "learnt")["heads"]
    maru.json("models", "learn", "sentiment", "no")
    maru.json("models", "shadow", "sentiment", "default")
    after = maru.json("models", "learnt")["heads"]

    assert [(it["head"], it["state"]) for it in before] == [
        ("sentiment", "too_few"),
        ("intent", "too_few"),
        ("topics", "too_few"),
    ]
    assert [it["state"] for it in after] == ["off", "too_few", "too_few"]
    assert b"turned it off" in maru.run("models", "learnt").stdout
