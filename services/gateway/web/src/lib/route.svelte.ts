/** Where the reader is: `/`, `/ideas/<id>`, `/topics`, `/sources` or `/sources/new`. The history API, and scroll positions on the way back. */

import { tick } from "svelte";

export type Place =
  | { page: "ideas" }
  | { page: "idea"; id: string }
  | { page: "topics" }
  | { page: "sources" }
  | { page: "new source" }
  | { page: "nowhere" };

/** The place that a path names. */
export function placeOf(path: string): Place {
  if (path === "/") return { page: "ideas" };
  if (/^\/topics\/?$/.test(path)) return { page: "topics" };
  if (/^\/sources\/?$/.test(path)) return { page: "sources" };
  if (/^\/sources\/new\/?$/.test(path)) return { page: "new source" };
  const id = /^\/ideas\/([^/]+)\/?$/.exec(path)?.[1];
  return id ? { page: "idea", id: decodeURIComponent(id) } : { page: "nowhere" };
}

class Route {
  path = $state(location.pathname);
  query = $state(location.search);
  readonly place = $derived(placeOf(this.path));

  go(address: string): void {
    history.replaceState({ y: scrollY }, "");
    history.pushState({ y: 0 }, "", address);
    void this.#arrive(0);
  }

  /** Change the address without leaving the page. */
  rename(address: string): void {
    history.replaceState(history.state, "", address);
    this.query = location.search;
  }

  start(): void {
    history.scrollRestoration = "manual";
    addEventListener("popstate", (event) => {
      const state = event.state as { y?: number } | null;
      void this.#arrive(state?.y ?? 0);
    });
  }

  async #arrive(y: number): Promise<void> {
    this.path = location.pathname;
    this.query = location.search;
    await tick();
    scrollTo(0, y);
  }
}

export const route = new Route();

/** Makes a plain link move within the board: `<a href="/" {@attach inside}>`. */
export function inside(link: HTMLAnchorElement): () => void {
  const follow = (event: MouseEvent): void => {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    route.go(link.pathname + link.search);
  };
  link.addEventListener("click", follow);
  return () => link.removeEventListener("click", follow);
}
