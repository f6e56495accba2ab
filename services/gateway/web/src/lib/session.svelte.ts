/** Who reads: an API key for this tab, or nobody in particular. */

import { Client } from "./api/client";
import { asProblem } from "./api/problem";
import type { Me } from "./api/types";

const SLOT = "maru.key";

/** Take the key out of `#key=…`, so that it stays neither in the address bar nor in the history. */
export function keyFromAddress(): string | null {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key !== null) history.replaceState(history.state, "", location.pathname + location.search);
  return key;
}

class Session {
  client = $state.raw(new Client());
  me = $state.raw<Me | null>(null);
  /** True once it is known who reads: nothing is asked before. */
  settled = $state(false);
  readonly mayDecide = $derived(this.me?.role === "owner" || this.me?.role === "admin");
  readonly mayCorrect = $derived(this.mayDecide || this.me?.role === "contributor");

  /** Go on with the key of the address bar or of this tab; a key refused is forgotten. */
  async start(): Promise<void> {
    const key = keyFromAddress() ?? sessionStorage.getItem(SLOT);
    if (key) {
      try {
        await this.signIn(key);
      } catch (error) {
        if ([401, 403].includes(asProblem(error).status)) this.signOut();
      }
    }
    this.settled = true;
  }

  /** Throws a Problem when the gateway does not know the key. */
  async signIn(key: string): Promise<void> {
    const client = new Client(key.trim());
    this.me = await client.me();
    sessionStorage.setItem(SLOT, key.trim());
    this.client = client;
  }

  signOut(): void {
    sessionStorage.removeItem(SLOT);
    this.me = null;
    this.client = new Client();
  }
}

export const session = new Session();
