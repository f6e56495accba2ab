"""`maru sources` …: what is typed, and what is printed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from maru_cli.asking import Json, ask, change, show
from maru_cli.output import err, out, print_json, shown
from maru_contracts.posts import Channel
from maru_kit.errors import ConfigError, MaruError

app = typer.Typer(help="The sources that Maru follows.", no_args_is_help=True)


@app.command("list")
def sources_list(as_json: Json = False) -> None:
    """List the sources, with their health."""
    rows = ask(lambda client: client.items("/api/v1/sources", most=10_000))
    show(
        rows,
        {
            "id": "ID",
            "name": "Name",
            "kind": "Kind",
            "channel": "Channel",
            "state": "State",
            "posts": "Posts",
            "rejected": "Rejected",
            "reason": "Reason",
        },
        "No sources yet: add one with `maru sources add`.",
        as_json=as_json,
    )


@app.command("add")
def sources_add(
    kind: Annotated[str, typer.Argument(help="feed, file or webhook")],
    name: str,
    url: Annotated[str | None, typer.Option(help="A feed's address.")] = None,
    path: Annotated[str | None, typer.Option(help="A file's path.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="The medium.")] = None,
    product: str = "",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, as name=value.")
    ] = None,
    look: Annotated[
        bool, typer.Option(help="Look at the address first: a page's feed is found.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Follow a source from now on. The address of a page will do where it offers one feed."""
    if kind == "feed" and look and url is not None and url.startswith("http"):
        url = _feed_behind(url)
    settings: dict[str, Any] = dict(_setting(pair) for pair in setting or [])
    settings |= {k: v for k, v in {"url": url, "path": path}.items() if v is not None}
    body = {
        "kind": kind,
        "name": name,
        "product": product,
        "channel": channel,
        "settings": settings,
    }
    added = ask(lambda client: client.call("POST", "/api/v1/sources", json=body))
    if as_json:
        print_json(added)
        return
    out.print(f"Following {added['name']} ({added['id']}).")
    if added.get("secret"):
        out.print(f"Signing secret, shown this once: {added['secret']}")


def _feed_behind(url: str) -> str:
    """Return the address of the feed: the same, or of the one that the page there offers."""
    from maru_cli.client import Refused

    try:
        found = ask(
            lambda client: client.call("POST", "/api/v1/sources/discover", json={"url": url})
        )
    except Refused as error:
        err.print(f"maru: added without a look at it: {error}", markup=False)
        return url
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


@app.command("remove")
def sources_remove(source_id: str, as_json: Json = False) -> None:
    """Stop following a source; its posts stay."""
    change("DELETE", f"/api/v1/sources/{source_id}", "Removed.", as_json=as_json)
