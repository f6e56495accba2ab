/** The workspace's sources and what is done with them. */

import type { Client } from "./api/client";
import type { Problem } from "./api/problem";
import { asProblem } from "./api/problem";
import type { Common, Connector, Health, Source, SourcesClient } from "./api/sources";
import { HEALTHS } from "./api/sources";
import type { Page } from "./api/types";
import { everyDay } from "./discovered.svelte";

const DAY = 86_400_000;
const DAYS = 7;
/** Pages of a hundred that are read at most: a browser shows no more sources at once with ease. */
const PAGES = 20;

/** Posts a day of the last seven days (UTC), days without any too. */
export function weekOf(source: Pick<Source, "days">, now = Date.now()): number[] {
  const [first, last] = [now - (DAYS - 1) * DAY, now].map((it) => new Date(it).toISOString().slice(0, 10));
  const days = source.days.map((it) => ({ day: it.date, posts: it.posts }));
  return everyDay({ first: first!, last: last! }, days);
}

/** How often a source was asked today (UTC). */
export function askedToday(source: Pick<Source, "days">, now = Date.now()): number {
  const today = new Date(now).toISOString().slice(0, 10);
  return source.days.find((it) => it.date === today)?.requests ?? 0;
}

/** The states that some source is in, with how many are. */
export function healthsOf(sources: readonly Pick<Source, "health">[]): (readonly [Health, number])[] {
  const counts = HEALTHS.map((it) => [it, sources.filter((one) => one.health === it).length] as const);
  return counts.filter(([, count]) => count);
}

export class Followed {
  sources = $state.raw<readonly Source[] | null>(null);
  kinds = $state.raw<readonly Connector[]>([]);
  /** The source that something is being done with. */
  busy = $state("");
  problem = $state.raw<Problem | null>(null);
  /** Why the last thing was refused, and of which source. */
  refusal = $state.raw<{ id: string; problem: Problem } | null>(null);
  #asking = new AbortController();
  /** Counts what was done here: a list that was asked for before shows what was before. */
  #deeds = 0;

  async load(client: Client): Promise<void> {
    this.#asking.abort();
    const { signal } = (this.#asking = new AbortController());
    this.problem = null;
    try {
      this.kinds = await client.sources.kinds(signal);
      this.sources = await allOf(client.sources, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.problem = asProblem(error);
    }
  }

  /** Look again, quietly: what is shown stays when that fails. */
  async renew(client: Client): Promise<void> {
    if (!this.sources || this.problem || this.busy) return;
    const { signal } = this.#asking;
    const deeds = this.#deeds;
    try {
      const found = await allOf(client.sources, signal);
      if (deeds === this.#deeds) this.sources = found;
    } catch (error) {
      if (!signal.aborted) console.debug("The sources could not be read again:", asProblem(error).message);
    }
  }

  pause(client: Client, id: string): Promise<boolean> {
    return this.#become(id, () => client.sources.pause(id));
  }

  resume(client: Client, id: string): Promise<boolean> {
    return this.#become(id, () => client.sources.resume(id));
  }

  reset(client: Client, id: string): Promise<boolean> {
    return this.#become(id, () => client.sources.reset(id));
  }

  change(client: Client, id: string, wanted: Partial<Common>): Promise<boolean> {
    return this.#become(id, () => client.sources.change(id, wanted));
  }

  backfill(client: Client, id: string, since: string, until: string | null): Promise<boolean> {
    return this.#become(id, () => client.sources.backfill(id, since, until));
  }

  stopBackfill(client: Client, id: string): Promise<boolean> {
    return this.#attempt(id, async () => {
      await client.sources.stopBackfill(id);
      this.#put(id, (it) => [{ ...it, backfill: null }]);
    });
  }

  remove(client: Client, id: string): Promise<boolean> {
    return this.#attempt(id, async () => {
      await client.sources.remove(id);
      this.#put(id, () => []);
    });
  }

  close(): void {
    this.#asking.abort();
  }

  #become(id: string, work: () => Promise<Source>): Promise<boolean> {
    return this.#attempt(id, async () => {
      const now = await work();
      this.#put(id, () => [now]);
    });
  }

  #put(id: string, now: (source: Source) => Source[]): void {
    this.sources = this.sources?.flatMap((it) => (it.id === id ? now(it) : [it])) ?? null;
  }

  /** True when it was granted. */
  async #attempt(id: string, work: () => Promise<void>): Promise<boolean> {
    this.#deeds += 1;
    this.busy = id;
    this.refusal = null;
    try {
      await work();
    } catch (error) {
      this.refusal = { id, problem: asProblem(error) };
    }
    this.#deeds += 1;
    this.busy = "";
    return this.refusal === null;
  }
}

async function allOf(client: SourcesClient, signal: AbortSignal): Promise<Source[]> {
  const found: Source[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < PAGES; page += 1) {
    const { items, next }: Page<Source> = await client.page(cursor, signal);
    found.push(...items);
    cursor = next;
    if (!cursor) break;
  }
  return found;
}
