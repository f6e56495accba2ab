"""Lists of feeds: add all that are new, and give back what is followed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from maru_contracts.posts import Channel
from maru_ingest.formats import links, opml
from maru_ingest.formats.opml import Outline
from maru_ingest.formats.parsed import Unreadable
from maru_ingest.service.sources import NewSource, Sources
from maru_ingest.store.sources import Source
from maru_ingest.tables import micros
from maru_kit.errors import Conflict, Unprocessable

_KIND = "feed"
_PAGE = 1_000
_MAX_NAME = 200
_MAX_PRODUCT = 100


@dataclass(slots=True)
class Added:
    """What became of a list: new sources, feeds that were known already, and refused ones."""

    added: list[Source] = field(default_factory=list)
    known: list[Outline] = field(default_factory=list)
    failed: list[tuple[Outline, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lists:
    """The use cases around lists; every source is a transaction of its own."""

    sources: Sources

    async def add(
        self,
        workspace: str,
        body: bytes,
        *,
        product: str = "",
        channel: Channel | None = None,
        folders_as_products: bool = False,
    ) -> Added:
        """Follow every feed of a list that is not followed yet; one that can't be stops no other.

        A feed is known by its address, however it is called. Raises Unprocessable when the whole
        is no list.
        """
        try:
            outlines = opml.read(body)
        except Unreadable as error:
            raise Unprocessable(f"The list can't be read: {error}.") from error
        followed = {
            links.canonical(links.absolute(one.url)) for one in await self._followed(workspace)
        }
        told = Added()
        for outline in outlines:
            address = _address(outline)
            if not address:
                told.failed.append((outline, "its address is not one of http:// or https://"))
                continue
            if address in followed:
                told.known.append(outline)
                continue
            wanted = NewSource(
                workspace=workspace,
                product=(outline.folder[:_MAX_PRODUCT] if folders_as_products else "") or product,
                name=(outline.title or outline.url)[:_MAX_NAME],
                kind=_KIND,
                channel=channel,
                settings={"url": outline.url},
            )
            try:
                told.added.append(await self._added(wanted, outline.url))
                followed.add(address)
            except (Conflict, Unprocessable) as error:
                told.failed.append((outline, str(error)))
        return told

    async def written(self, workspace: str) -> str:
        """Return the workspace's feeds as OPML, with a folder for each product."""
        followed = [one for one in await self._followed(workspace) if links.absolute(one.url)]
        return opml.written(followed, title=f"Maru: {workspace}")

    async def _added(self, wanted: NewSource, url: str) -> Source:
        """Add a source; a name that another feed has gets its host beside it."""
        try:
            return await self.sources.add(wanted)
        except Conflict:
            longer = f"{wanted.name[: _MAX_NAME // 2]} ({urlsplit(url).netloc[: _MAX_NAME // 4]})"
            return await self.sources.add(replace(wanted, name=longer))

    async def _followed(self, workspace: str) -> Sequence[Outline]:
        found: list[Outline] = []
        after: tuple[int, str] | None = None
        while page := await self.sources.page(workspace, after=after, limit=_PAGE):
            found += [
                Outline(str(source.settings.get("url", "")), source.name, source.product)
                for source in page
                if source.kind == _KIND
            ]
            after = micros(page[-1].created_at), page[-1].id
        return found


def _address(outline: Outline) -> str:
    """Return by what a feed is known, empty when it can't be followed over HTTP."""
    return links.canonical(links.absolute(outline.url))
