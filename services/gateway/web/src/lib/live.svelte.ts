/** Which ideas changed since the reader last looked. */

import { SvelteSet } from "svelte/reactivity";

import type { Client } from "./api/client";
import { changedIdea, events } from "./api/events";

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 60_000;

export class Live {
  readonly changed = new SvelteSet<string>();

  /** Listen until `signal` aborts; a broken stream is opened again, ever more slowly. */
  async listen(client: Client, signal: AbortSignal): Promise<void> {
    let wait = FIRST_WAIT;
    while (!signal.aborted) {
      try {
        for await (const data of events(await client.live(signal))) {
          wait = FIRST_WAIT;
          const id = changedIdea(data);
          if (id) this.changed.add(id);
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
