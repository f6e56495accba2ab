/** One idea with the posts behind it. */

import type { Client, Said } from "./api/client";
import type { Problem } from "./api/problem";
import { asProblem } from "./api/problem";
import type { Evidence, Idea, Status } from "./api/types";

const names = (topics: readonly { name: string }[]): string[] => topics.map((it) => it.name);

export class Reading {
  idea = $state.raw<Idea | null>(null);
  posts = $state.raw<readonly Evidence[]>([]);
  next = $state<string | null>(null);
  busy = $state(false);
  problem = $state.raw<Problem | null>(null);
  /** Why the last wish for another status was refused. */
  refusal = $state.raw<Problem | null>(null);
  /** Why the last correction was refused, and of which post it was. */
  uncorrected = $state.raw<{ post: string; problem: Problem } | null>(null);
  #asking = new AbortController();

  constructor(readonly id: string) {}

  async load(client: Client): Promise<void> {
    this.#asking.abort();
    const { signal } = (this.#asking = new AbortController());
    await this.#attempt(signal, async () => {
      const [idea, page] = await Promise.all([
        client.idea(this.id, signal),
        client.evidence(this.id, null, signal),
      ]);
      this.idea = idea;
      this.posts = page.items;
      this.next = page.next;
    });
  }

  async more(client: Client): Promise<void> {
    const { signal } = this.#asking;
    await this.#attempt(signal, async () => {
      const page = await client.evidence(this.id, this.next, signal);
      const known = new Set(this.posts.map((post) => post.post_id));
      this.posts = [...this.posts, ...page.items.filter((post) => !known.has(post.post_id))];
      this.next = page.next;
    });
  }

  /** Ask for another status; true when it was granted. */
  async decide(client: Client, status: Status): Promise<boolean> {
    this.busy = true;
    this.refusal = null;
    try {
      await client.setStatus(this.id, status);
      this.idea = await client.idea(this.id, this.#asking.signal);
      return true;
    } catch (error) {
      this.refusal = asProblem(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  /** Correct a post's tags, or confirm them; true when it was granted. */
  correct(client: Client, post: string, said: Said): Promise<boolean> {
    return this.#changing(client, post, async () => {
      const { sentiment, intent, topics, correction } = await client.correct(post, said);
      return { sentiment: sentiment.label, intent: intent.label, topics: names(topics), correction };
    });
  }

  /** Give a post the models' own tags again; true when it was granted. */
  takeBack(client: Client, post: Evidence): Promise<boolean> {
    return this.#changing(client, post.post_id, async () => {
      await client.takeBack(post.post_id);
      const own = post.correction?.own;
      if (!own) return {};
      const topics = own.topics ? names(own.topics) : post.topics;
      return { sentiment: own.sentiment.label, intent: own.intent.label, topics, correction: null };
    });
  }

  /** The post stays on the page with its new tags, also when it left the idea. */
  async #changing(
    client: Client,
    post: string,
    work: () => Promise<Partial<Evidence>>,
  ): Promise<boolean> {
    this.busy = true;
    this.uncorrected = null;
    try {
      const changed = await work();
      this.posts = this.posts.map((it) => (it.post_id === post ? { ...it, ...changed } : it));
      this.idea = await client.idea(this.id, this.#asking.signal);
      return true;
    } catch (error) {
      this.uncorrected = { post, problem: asProblem(error) };
      return false;
    } finally {
      this.busy = false;
    }
  }

  close(): void {
    this.#asking.abort();
  }

  async #attempt(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.problem = null;
    try {
      await work();
    } catch (error) {
      if (signal.aborted) return;
      this.problem = asProblem(error);
    }
    if (!signal.aborted) this.busy = false;
  }
}
