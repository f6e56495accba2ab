/** What the list shows: kept in the address bar, so that a view can be shared. */

import { CHANNELS, SORTS, STATUSES } from "./api/types";
import type { Sort } from "./api/types";

export interface Filters {
  q: string;
  status: string;
  language: string;
  channel: string;
  topic: string;
  sort: Sort;
}

export const EVERYTHING: Filters = {
  q: "",
  status: "",
  language: "",
  channel: "",
  topic: "",
  sort: "score",
};

const MAX_QUERY = 200;

/** Read an address; what is not known is ignored. */
export function fromQuery(query: URLSearchParams): Filters {
  return {
    q: (query.get("q") ?? "").slice(0, MAX_QUERY),
    status: oneOf(STATUSES, query.get("status")) ?? "",
    language: query.get("language") ?? "",
    channel: oneOf(CHANNELS, query.get("channel")) ?? "",
    topic: query.get("topic") ?? "",
    sort: oneOf(SORTS, query.get("sort")) ?? "score",
  };
}

/** The shortest query that says the same: what is not narrowed is left out. */
export function toQuery(filters: Filters): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) {
    if (value && value !== EVERYTHING[name as keyof Filters]) query.set(name, value.trim());
  }
  return query;
}

/** Whether anything is left out (the order alone leaves nothing out). */
export function narrows(filters: Filters): boolean {
  return toQuery({ ...filters, sort: "score" }).size > 0;
}

function oneOf<T extends string>(known: readonly T[], value: string | null): T | null {
  return known.find((it) => it === value) ?? null;
}
