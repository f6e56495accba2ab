/** The discovered topics of the last 30 days, and what is done with them. */

import type { Client } from "./api/client";
import type { Problem } from "./api/problem";
import { asProblem } from "./api/problem";
import type { Discovered } from "./api/types";

export type Sort = "volume" | "growth";

/** The posts of each day from the first to the last, days without any too. */
export function everyDay(found: Pick<Discovered, "first" | "last">, days: readonly { day: string; posts: number }[]): number[] {
  const counts = new Map(days.map((it) => [it.day, it.posts]));
  const every: number[] = [];
  for (let at = Date.parse(found.first); at <= Date.parse(found.last); at += 86_400_000)
    every.push(counts.get(new Date(at).toISOString().slice(0, 10)) ?? 0);
  return every;
}

export class Topics {
  found = $state.raw<Discovered | null>(null);
  busy = $state(false);
  problem = $state.raw<Problem | null>(null);
  /** Why the last adoption or dismissal was refused. */
  refusal = $state.raw<Problem | null>(null);
  #asking = new AbortController();

  async load(client: Client, sort: Sort): Promise<void> {
    this.#asking.abort();
    const { signal } = (this.#asking = new AbortController());
    this.busy = true;
    this.problem = null;
    try {
      this.found = await client.discovered(sort, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.problem = asProblem(error);
    }
    if (!signal.aborted) this.busy = false;
  }

  async adopt(client: Client, id: string): Promise<void> {
    await this.#attempt(async () => {
      const name = await client.adopt(id);
      this.#change((topics) => topics.map((it) => (it.id === id ? { ...it, adopted_as: name } : it)));
    });
  }

  async dismiss(client: Client, id: string): Promise<void> {
    await this.#attempt(async () => {
      await client.dismiss(id);
      this.#change((topics) => topics.filter((it) => it.id !== id));
    });
  }

  close(): void {
    this.#asking.abort();
  }

  #change(change: (topics: Discovered["topics"]) => Discovered["topics"]): void {
    if (this.found) this.found = { ...this.found, topics: change(this.found.topics) };
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.refusal = null;
    try {
      await work();
    } catch (error) {
      this.refusal = asProblem(error);
    } finally {
      this.busy = false;
    }
  }
}
