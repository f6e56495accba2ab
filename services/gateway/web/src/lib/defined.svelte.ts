/** The topics that posts are tagged with, and what was learnt from corrected tags. */

import type { Client } from "./api/client";
import type { Problem } from "./api/problem";
import { asProblem } from "./api/problem";
import type { DefinedTopic, LearntHead } from "./api/types";

export class Defined {
  topics = $state.raw<readonly DefinedTopic[]>([]);
  heads = $state.raw<readonly LearntHead[]>([]);
  busy = $state(false);
  /** Why they could not be read, or the last description was refused. */
  problem = $state.raw<Problem | null>(null);
  #asking = new AbortController();

  async load(client: Client): Promise<void> {
    this.#asking.abort();
    const { signal } = (this.#asking = new AbortController());
    await this.#attempt(signal, async () => {
      [this.topics, this.heads] = await Promise.all([client.topics(signal), client.learnt(signal)]);
    });
  }

  /** Say what a topic is; true when it was granted. */
  async describe(client: Client, name: string, description: string): Promise<boolean> {
    const { signal } = this.#asking;
    await this.#attempt(signal, async () => {
      const told = await client.describe(name, description);
      this.topics = this.topics.map((it) => (it.name === name ? told : it));
    });
    return this.problem === null;
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
    this.busy = false;
  }
}
