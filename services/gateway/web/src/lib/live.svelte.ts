/** Which ideas changed since the reader last looked. */

import { SvelteMap, SvelteSet } from "svelte/reactivity";

import type { Client } from "./api/client";
import { changedIdea, events, losesPost } from "./api/events";

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 60_000;

export class Live {
  readonly changed = new SvelteSet<string>();
  /** Ideas that lost posts, and how many: they are shown anew at once, whoever is reading. */
  readonly poorer = new SvelteMap<string, number>();

  /** Listen until `signal` aborts; a broken stream is opened again, ever more slowly. */
  async listen(client: Client, signal: AbortSignal): Promise<void> {
    let wait = FIRST_WAIT;
    while (!signal.aborted) {
      try {
        for await (const data of events(await client.live(signal))) {
          wait = FIRST_WAIT;
          const id = changedIdea(data);
          if (id) this.changed.add(id);
          if (id && losesPost(data)) this.poorer.set(id, (this.poorer.get(id) ?? 0) + 1);
        }
      } catch {
        // The list works without the stream, and the next attempt will tell.
      }
      await pause(wait * (0.5 + Math.random()), signal);
      wait = Math.min(wait * 2, LONGEST_WAIT);
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
