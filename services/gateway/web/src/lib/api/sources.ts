/** The gateway's questions about sources and connectors; all need a key. */

import type { Schema } from "../schema";
import type { Channel, Page, Rating } from "./types";

export const HEALTHS = ["healthy", "expiring", "late", "throttled", "broken", "paused"] as const;
export type Health = (typeof HEALTHS)[number];

export interface SourceDay {
  date: string;
  posts: number;
  rejected: number;
  requests: number;
}

export interface Backfill {
  since: string;
  until: string;
  state: "running" | "done";
  reason: string;
  posts: number;
}

export interface Source {
  id: string;
  product: string;
  name: string;
  kind: string;
  channel: Channel;
  /** Secrets are stars. */
  settings: Record<string, unknown>;
  health: Health;
  reason: string;
  lag_seconds: number;
  posts: number;
  rejected: number;
  last_post_at: string | null;
  last_success_at: string | null;
  /** Null for a paused source, and for one that is sent its posts. */
  next_poll_at: string | null;
  /** When its credentials end by themselves; null if they do not, or nobody says. */
  credentials_expire_at: string | null;
  daily_requests: number | null;
  /** Days that brought something, of the last seven (UTC), oldest first. */
  days: readonly SourceDay[];
  backfill: Backfill | null;
}

export interface AddedSource extends Source {
  /** Shown this once; null for polled kinds. */
  secret: string | null;
}

export interface Connector {
  kind: string;
  title: string;
  summary: string;
  channel: Channel;
  capabilities: readonly string[];
  pushed: boolean;
  settings: Schema;
}

/** What can be set of every source. */
export interface Common {
  name: string;
  product: string;
  channel: Channel | null;
  daily_requests: number | null;
  settings: Record<string, unknown>;
}

export interface TriedPost {
  native_id: string;
  title: string;
  text: string;
  url: string;
  author: string;
  author_name: string;
  created_at: string | null;
  rating?: Rating | null;
}

export interface Trial {
  posts: number;
  sample: readonly TriedPost[];
  rejected: readonly { line: number; reason: string }[];
  waiting: boolean;
}

export interface OfferedFeed {
  url: string;
  title: string;
}

interface ListedFeed {
  name: string;
  url: string;
  reason: string;
}

export interface ListAdded {
  added: readonly Source[];
  known: readonly ListedFeed[];
  failed: readonly ListedFeed[];
}

const PAGE = 100;
const SOURCES = "/api/v1/sources";
const CONNECTORS = "/api/v1/connectors";

export class SourcesClient {
  readonly #fetch: (url: string, init: RequestInit) => Promise<Response>;

  constructor(fetch: (url: string, init: RequestInit) => Promise<Response>) {
    this.#fetch = fetch;
  }

  page(cursor: string | null, signal: AbortSignal): Promise<Page<Source>> {
    const query = new URLSearchParams({ limit: String(PAGE), ...(cursor ? { cursor } : {}) });
    return this.#read(`${SOURCES}?${query}`, { signal });
  }

  kinds(signal: AbortSignal): Promise<Connector[]> {
    return this.#read(CONNECTORS, { signal });
  }

  /** Throws a Problem with status 422 and the source's own reason when it brings nothing. */
  test(kind: string, settings: Common["settings"], signal: AbortSignal): Promise<Trial> {
    return this.#read(`${CONNECTORS}/${encodeURIComponent(kind)}/test`, { ...json("POST", { settings }), signal });
  }

  /** The feeds behind an address: itself, or those that its page offers. */
  async feedsAt(url: string, signal: AbortSignal): Promise<readonly OfferedFeed[]> {
    const found = await this.#read<{ feeds: OfferedFeed[] }>(`${SOURCES}/discover`, { ...json("POST", { url }), signal });
    return found.feeds;
  }

  add(kind: string, wanted: Common): Promise<AddedSource> {
    return this.#read(SOURCES, json("POST", { kind, ...wanted }));
  }

  change(id: string, wanted: Partial<Common>): Promise<Source> {
    return this.#read(addressOf(id), json("PATCH", wanted));
  }

  pause(id: string): Promise<Source> {
    return this.#read(`${addressOf(id)}/pause`, { method: "POST" });
  }

  resume(id: string): Promise<Source> {
    return this.#read(`${addressOf(id)}/resume`, { method: "POST" });
  }

  reset(id: string): Promise<Source> {
    return this.#read(`${addressOf(id)}/reset`, { method: "POST" });
  }

  backfill(id: string, since: string, until: string | null): Promise<Source> {
    return this.#read(`${addressOf(id)}/backfill`, json("POST", { since, until }));
  }

  async stopBackfill(id: string): Promise<void> {
    await this.#fetch(`${addressOf(id)}/backfill`, { method: "DELETE" });
  }

  async remove(id: string): Promise<void> {
    await this.#fetch(addressOf(id), { method: "DELETE" });
  }

  /** Follow the feeds of an OPML list. */
  addList(opml: string): Promise<ListAdded> {
    return this.#read(`${SOURCES}/opml`, json("POST", { opml }));
  }

  /** The feeds that are followed, as OPML. */
  async list(): Promise<Blob> {
    return (await this.#fetch(`${SOURCES}/opml`, {})).blob();
  }

  async #read<T>(url: string, init: RequestInit): Promise<T> {
    return (await (await this.#fetch(url, init)).json()) as T;
  }
}

function addressOf(id: string): string {
  return `${SOURCES}/${encodeURIComponent(id)}`;
}

function json(method: string, body: unknown): RequestInit {
  return { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
