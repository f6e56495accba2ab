"""`maru sources` …: what is typed, and what is printed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from maru_cli.asking import Json, ask, change, done, show
from maru_cli.output import err, minute, out, print_json, shown
from maru_contracts.posts import Channel
from maru_kit.errors import ConfigError, MaruError

app = typer.Typer(help="The sources that Maru follows.", no_args_is_help=True)

Kind = Annotated[str, typer.Argument(help="One of the kinds of `maru sources kinds`.")]
Url = Annotated[str | None, typer.Option(help="A feed's address.")]
FilePath = Annotated[str | None, typer.Option(help="A file's path.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any other setting, as name=value; a list as name=a,b."),
]
_FIRST = 200


@app.command("list")
def sources_list(as_json: Json = False) -> None:
    """List the sources, with their health."""
    rows = ask(lambda client: client.items("/api/v1/sources", most=10_000))
    if not as_json:
        rows = [{**row, "reason": row["reason"] or _warning(row)} for row in rows]
    show(
        rows,
        {
            "id": "ID",
            "name": "Name",
            "kind": "Kind",
            "channel": "Channel",
            "health": "Health",
            "posts": "Posts",
            "rejected": "Rejected",
            "reason": "Reason",
        },
        "No sources yet: add one with `maru sources add`.",
        as_json=as_json,
    )


@app.command("add")
def sources_add(
    kind: Kind,
    name: str,
    url: Url = None,
    path: FilePath = None,
    channel: Annotated[Channel | None, typer.Option(help="The medium.")] = None,
    product: str = "",
    setting: Set = None,
    look: Annotated[
        bool, typer.Option(help="Look at the address first: a page's feed is found.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Follow a source from now on. The address of a page will do where it offers one feed."""
    needs_key = any(pair.startswith("authorization=") for pair in setting or [])
    if kind == "feed" and look and not needs_key and url is not None and url.startswith("http"):
        url = _feed_behind(url)
    body = {
        "kind": kind,
        "name": name,
        "product": product,
        "channel": channel,
        "settings": _settings(url, path, setting),
    }
    added = ask(lambda client: client.call("POST", "/api/v1/sources", json=body))
    if as_json:
        print_json(added)
        return
    out.print(f"Following {added['name']} ({added['id']}).")
    if added.get("secret"):
        out.print(f"Signing secret, shown this once: {added['secret']}")


@app.command("test")
def sources_test(
    kind: Kind, url: Url = None, path: FilePath = None, setting: Set = None, as_json: Json = False
) -> None:
    """Show the first posts that a source would bring. It is not added, and nothing is stored."""
    body = {"settings": _settings(url, path, setting)}
    told = ask(lambda client: client.call("POST", f"/api/v1/connectors/{kind}/test", json=body))
    if as_json:
        print_json(told)
        return
    for post in told["sample"]:
        facts = (post["author_name"] or post["author"], post["created_at"] or "", post["url"])
        out.print(shown(post["title"] or post["text"][:_FIRST]), style="bold", markup=False)
        if post["title"] and post["text"]:
            out.print(shown(post["text"][:_FIRST]), markup=False)
        for line in (facts, _stated(post)):
            out.print(" · ".join(shown(fact) for fact in line if fact), style="dim", markup=False)
    for row in told["rejected"]:
        err.print(f"line {row['line']}: {row['reason']}", markup=False)
    listening = " It is a stream; nothing more came while it was listened to."
    out.print(
        f"{told['posts']:,} posts at first, {len(told['rejected']):,} rows that are none; "
        f"nothing was stored.{listening if told['waiting'] else ''}"
    )


@app.command("kinds")
def sources_kinds(as_json: Json = False) -> None:
    """List the kinds of sources that there can be, with what they can do."""
    kinds = ask(lambda client: client.call("GET", "/api/v1/connectors"))
    if not as_json:
        for one in kinds:
            one["capabilities"] = ", ".join(one["capabilities"])
            one["settings"] = ", ".join(one["settings"].get("properties", {}))
    columns = {
        "kind": "Kind",
        "summary": "Summary",
        "capabilities": "Can",
        "settings": "Settings",
    }
    show(kinds, columns, "There are none.", as_json=as_json)


def _warning(source: dict[str, Any]) -> str:
    return _end_of_credentials(source) if source["health"] == "expiring" else ""


def _end_of_credentials(source: dict[str, Any]) -> str:
    return f"credentials end {minute(source['credentials_expire_at'])}"


def _stated(post: dict[str, Any]) -> list[str]:
    """Say what a source states of a post beside its words, so that a wrong mapping shows."""
    rating, parent = post["rating"], post["in_reply_to"]
    return [
        f"id {post['native_id']}" if post["native_id"] else "no id",
        f"edited {post['edited_at']}" if post["edited_at"] else "",
        f"rating {rating['value']:g}/{rating['best']:g}" if rating else "",
        *(f"{name} {count:,}" for name, count in post["metrics"].items()),
        f"answers {parent}" if parent else "",
        post["lang"],
        *(f"{one['kind']} {one['url']}" for one in post["media"]),
    ]


def _settings(url: str | None, path: str | None, pairs: list[str] | None) -> dict[str, Any]:
    given = {k: v for k, v in {"url": url, "path": path}.items() if v is not None}
    return {**dict(_setting(pair) for pair in pairs or []), **given}


def _feed_behind(url: str) -> str:
    """Return the address of the feed: the same, or of the one that the page there offers."""
    from maru_cli.client import Refused

    try:
        found = ask(
            lambda client: client.call("POST", "/api/v1/sources/discover", json={"url": url})
        )
    except Refused as error:
        raise MaruError(f"{error} Nothing was added; --no-look adds it anyway.") from error
    if found["is_feed"]:
        return url
    feeds = found["feeds"]
    if not feeds:
        raise MaruError(f"{url} is no feed, and a page that offers none (--no-look adds it anyway)")
    if len(feeds) > 1:
        offered = "\n".join(f"  {shown(one['url'])}  {shown(one['title'])}" for one in feeds)
        raise MaruError(f"{url} offers {len(feeds)} feeds; add those that you want:\n{offered}")
    err.print(f"maru: the feed of that page is {shown(feeds[0]['url'])}", markup=False)
    return str(feeds[0]["url"])


@app.command("import")
def sources_import(
    file: Annotated[Path, typer.Argument(help="OPML, as feed readers export it.")],
    product: Annotated[str, typer.Option(help="The product that all of them speak of.")] = "",
    channel: Annotated[Channel | None, typer.Option(help="Their medium.")] = None,
    folders_as_products: Annotated[
        bool, typer.Option("--folders-as-products", help="A folder's name is its product's.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Follow every feed of a list. Those that can't be followed are named, and the status is 1."""
    from maru_ingest.formats import encodings

    try:
        written = file.read_bytes()
    except OSError as error:
        raise MaruError(f"{file} can't be read: {error.strerror}") from error
    body = {
        "opml": encodings.decode(written),
        "product": product,
        "channel": channel,
        "folders_as_products": folders_as_products,
    }
    told = ask(lambda client: client.call("POST", "/api/v1/sources/opml", json=body))
    if as_json:
        print_json(told)
    else:
        added, known, failed = (len(told[name]) for name in ("added", "known", "failed"))
        out.print(f"{added:,} feeds added, {known:,} known already, {failed:,} refused")
    for one in told["failed"]:
        err.print(f"{shown(one['name'])} {shown(one['url'])}: {one['reason']}", markup=False)
    raise typer.Exit(1 if told["failed"] else 0)


@app.command("export")
def sources_export(as_json: Json = False) -> None:
    """Print the feeds that are followed as OPML, in a folder for each product."""
    written = ask(lambda client: client.text("/api/v1/sources/opml"))
    if as_json:
        print_json({"opml": written})
    else:
        print(written, end="")


def _setting(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals:
        raise ConfigError(f"--set takes name=value, not {pair!r}")
    return key, value


@app.command("pause")
def sources_pause(source_id: str, as_json: Json = False) -> None:
    """Leave a source alone until it is resumed."""
    change("POST", f"/api/v1/sources/{source_id}/pause", "Paused.", as_json=as_json)


@app.command("resume")
def sources_resume(source_id: str, as_json: Json = False) -> None:
    """Follow a paused source again, or try a broken one at once."""
    change("POST", f"/api/v1/sources/{source_id}/resume", "Resumed.", as_json=as_json)


@app.command("change")
def sources_change(
    source_id: str,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    product: Annotated[str | None, typer.Option(help="The product it speaks of.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="The medium.")] = None,
    setting: Set = None,
    daily_requests: Annotated[
        int | None, typer.Option(min=0, help="Requests a day at most; 0 for any number.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Change a source; what is not named stays. One that follows something else begins anew."""
    body: dict[str, Any] = {"name": name, "product": product, "channel": channel}
    body = {key: value for key, value in body.items() if value is not None}
    if setting:
        body["settings"] = dict(_setting(pair) for pair in setting)
    if daily_requests is not None:
        body["daily_requests"] = daily_requests or None
    if not body:
        raise ConfigError("nothing to change: name at least one option")
    path = f"/api/v1/sources/{source_id}"
    changed = ask(lambda client: client.call("PATCH", path, json=body))
    done(changed, "Changed.", as_json=as_json)


@app.command("reset")
def sources_reset(source_id: str, as_json: Json = False) -> None:
    """Have a source begin anew; posts that it brings again are known."""
    change("POST", f"/api/v1/sources/{source_id}/reset", "It begins anew.", as_json=as_json)


@app.command("backfill")
def sources_backfill(
    source_id: str,
    since: Annotated[datetime, typer.Argument(help="Inclusive, in UTC.")],
    until: Annotated[datetime | None, typer.Option(help="Exclusive, in UTC; else now.")] = None,
    as_json: Json = False,
) -> None:
    """Fetch older posts, beside the polls; `maru sources show` tells how far that has come."""
    body = {"since": since.replace(tzinfo=UTC).isoformat()}
    if until is not None:
        body["until"] = until.replace(tzinfo=UTC).isoformat()
    path = f"/api/v1/sources/{source_id}/backfill"
    done(
        ask(lambda client: client.call("POST", path, json=body)),
        "Fetching older posts.",
        as_json=as_json,
    )


@app.command("show")
def sources_show(source_id: str, as_json: Json = False) -> None:
    """Show a source: how it fares, what it brought each day, how far it has looked back."""
    source = ask(lambda client: client.call("GET", f"/api/v1/sources/{source_id}"))
    if as_json:
        print_json(source)
        return
    out.print(shown(source["name"]), style="bold", markup=False)
    facts = [f"{source['kind']}, {source['channel']}", source["health"], source["reason"]]
    out.print(" · ".join(shown(fact) for fact in facts if fact), markup=False)
    if source["credentials_expire_at"]:
        out.print(_end_of_credentials(source), markup=False)
    out.print(f"next run {source['next_poll_at'] or 'never'}", markup=False)
    for name, value in source["settings"].items():
        out.print(f"{name} = {shown(str(value))}", style="dim", markup=False)
    for day in source["days"]:
        counts = f"{day['posts']:,} posts, {day['rejected']:,} rejected"
        out.print(f"{day['date']}: {counts}, {day['requests']:,} requests", markup=False)
    if push := source["push"]:
        until = f" until {push['lease_until']}" if push["lease_until"] else ""
        told = f"{push['state']}{until} {shown(push['reason'])}"
        out.print(f"pushes by {shown(push['hub'])}: {told}", markup=False)
    if look := source["backfill"]:
        told = f"{look['state']}, {look['posts']:,} new posts on {look['pages']:,} pages"
        out.print(f"back to {look['since']}: {told} {shown(look['reason'])}", markup=False)


@app.command("remove")
def sources_remove(source_id: str, as_json: Json = False) -> None:
    """Stop following a source; its posts stay."""
    change("DELETE", f"/api/v1/sources/{source_id}", "Removed.", as_json=as_json)
