/** The gateway's questions that the board asks. Without a key it asks the public twins. */

import type { Filters } from "../filters";
import { toQuery } from "../filters";
import { problemOf } from "./problem";
import { SourcesClient } from "./sources";
import type {
  DefinedTopic, Discovered, Evidence, Idea, Intent, LearntHead, Me, Mood, Page, Status, TaggedPost,
} from "./types";

const PAGE = 20;
const TOPICS = "/api/v1/discovered-topics";

/** What a person says of a post's tags; topics that are not given are left to the models. */
export interface Said {
  mood: Mood;
  intent: Intent;
  topics?: readonly string[];
}

export class Client {
  readonly sources = new SourcesClient((url, init) => this.#fetch(url, init));

  constructor(readonly key: string | null = null) {}

  ideas(filters: Filters, cursor: string | null, signal: AbortSignal): Promise<Page<Idea>> {
    return this.#read(this.#path("/ideas"), withCursor(toQuery(filters), cursor), signal);
  }

  idea(id: string, signal: AbortSignal): Promise<Idea> {
    return this.#read(this.#path(`/ideas/${encodeURIComponent(id)}`), undefined, signal);
  }

  evidence(id: string, cursor: string | null, signal: AbortSignal): Promise<Page<Evidence>> {
    const path = this.#path(`/ideas/${encodeURIComponent(id)}/evidence`);
    return this.#read(path, withCursor(new URLSearchParams(), cursor), signal);
  }

  me(): Promise<Me> {
    return this.#read("/api/v1/me");
  }

  /** Throws a Problem with status 409 on a move that is not allowed. */
  setStatus(id: string, status: Status): Promise<Idea> {
    return this.#send(`/api/v1/ideas/${encodeURIComponent(id)}/status`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ status }),
    });
  }

  /** Say what a post's mood, intent and, if they are given, topics are. */
  correct(post: string, said: Said): Promise<TaggedPost> {
    return this.#send(correctionOf(post), {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(said),
    });
  }

  /** Give a post the models' own tags again. */
  async takeBack(post: string): Promise<void> {
    await this.#fetch(correctionOf(post), { method: "DELETE" });
  }

  /** The topics that posts are tagged with; it needs a key. */
  topics(signal?: AbortSignal): Promise<DefinedTopic[]> {
    return this.#read("/api/v1/topics", undefined, signal);
  }

  describe(topic: string, description: string): Promise<DefinedTopic> {
    return this.#send(`/api/v1/topics/${encodeURIComponent(topic)}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ description }),
    });
  }

  async learnt(signal: AbortSignal): Promise<LearntHead[]> {
    const found = await this.#read<{ heads: LearntHead[] }>("/api/v1/models/learnt", undefined, signal);
    return found.heads;
  }

  /** What posts of the last 30 days speak of; it needs a key. */
  discovered(sort: "volume" | "growth", signal: AbortSignal): Promise<Discovered> {
    return this.#read(TOPICS, new URLSearchParams({ sort, limit: "50" }), signal);
  }

  /** Throws a Problem with status 409 when there is a topic of this name. */
  async adopt(id: string): Promise<string> {
    const topic = await this.#send<{ name: string }>(`${TOPICS}/${id}/adoption`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    return topic.name;
  }

  async dismiss(id: string): Promise<void> {
    await this.#fetch(`${TOPICS}/${id}/dismissal`, { method: "PUT" });
  }

  /** The stream of changed ideas, open until `signal` aborts or the gateway ends it. */
  async live(signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const path = this.key ? "/api/v1/live/ideas" : "/board/live";
    const response = await this.#fetch(path, { signal, headers: { accept: "text/event-stream" } });
    if (!response.body) throw new Error(`${path} sent no body`);
    return response.body;
  }

  #path(path: string): string {
    return (this.key ? "/api/v1" : "/board") + path;
  }

  #read<T>(path: string, query?: URLSearchParams, signal?: AbortSignal): Promise<T> {
    const url = query?.size ? `${path}?${query}` : path;
    return this.#send(url, signal ? { signal } : {});
  }

  async #send<T>(url: string, init: RequestInit): Promise<T> {
    const response = await this.#fetch(url, init);
    return (await response.json()) as T;
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.key) headers.set("authorization", `Bearer ${this.key}`);
    const response = await fetch(url, { ...init, headers, credentials: "omit" });
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}

function correctionOf(post: string): string {
  return `/api/v1/posts/${encodeURIComponent(post)}/correction`;
}

function withCursor(query: URLSearchParams, cursor: string | null): URLSearchParams {
  query.set("limit", String(PAGE));
  if (cursor) query.set("cursor", cursor);
  return query;
}
