/** The ideas on the list: one view of them at a time, page after page. It outlives a visit to an idea. */

import type { Client } from "./api/client";
import type { Problem } from "./api/problem";
import { asProblem } from "./api/problem";
import type { Idea } from "./api/types";
import type { Filters } from "./filters";
import { toQuery } from "./filters";

export class Listing {
  ideas = $state.raw<readonly Idea[]>([]);
  total = $state<number | null>(null);
  next = $state<string | null>(null);
  busy = $state(true);
  problem = $state.raw<Problem | null>(null);
  #shown: { client: Client; query: string } | null = null;
  #asking = new AbortController();

  /** Show what the filters ask for, unless that is what is shown already. */
  async show(client: Client, filters: Filters): Promise<void> {
    const query = toQuery(filters).toString();
    if (this.#shown?.client === client && this.#shown.query === query) return;
    this.#shown = { client, query };
    await this.reload(client, filters);
  }

  async reload(client: Client, filters: Filters): Promise<void> {
    await this.#ask(client, filters, null);
  }

  async more(client: Client, filters: Filters): Promise<void> {
    if (this.next && !this.busy) await this.#ask(client, filters, this.next);
  }

  /** Show an idea as it is now; one that nothing is behind any more leaves the list. */
  async renew(client: Client, id: string): Promise<void> {
    if (!this.ideas.some((idea) => idea.id === id)) return;
    let now: Idea | null = null;
    try {
      now = await client.idea(id, this.#asking.signal);
    } catch (error) {
      if (this.#asking.signal.aborted || asProblem(error).status !== 404) return;
    }
    const left = now?.evidence_count ? now : null;
    this.ideas = this.ideas.flatMap((idea) => (idea.id !== id ? [idea] : left ? [left] : []));
    if (!left && this.total) this.total -= 1;
  }

  async #ask(client: Client, filters: Filters, cursor: string | null): Promise<void> {
    this.#asking.abort();
    const asking = (this.#asking = new AbortController());
    this.busy = true;
    this.problem = null;
    try {
      const page = await client.ideas(filters, cursor, asking.signal);
      this.ideas = cursor ? joined(this.ideas, page.items) : page.items;
      this.next = page.next;
      this.total = page.total ?? null;
    } catch (error) {
      if (asking.signal.aborted) return;
      if (!cursor) this.ideas = [];
      this.problem = asProblem(error);
    }
    if (!asking.signal.aborted) this.busy = false;
  }
}

/** One list without repetition: an idea may have moved between two pages. */
export function joined(before: readonly Idea[], after: readonly Idea[]): Idea[] {
  const known = new Set(before.map((idea) => idea.id));
  return [...before, ...after.filter((idea) => !known.has(idea.id))];
}
