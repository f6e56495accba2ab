/** Where posts of a source that is not fetched are sent, or written. No Svelte, no words. */

import type { Connector, Source } from "./api/sources";

export type Way = "form" | "tag" | "hook" | "lines";

/** What to copy, the first that people want first; nothing for kinds that are fetched. */
export function waysOf(
  kind: Pick<Connector, "pushed" | "form">,
  source: Pick<Source, "id">,
  origin: string,
): (readonly [Way, string])[] {
  if (!kind.pushed) return [];
  if (!kind.form) {
    return [
      ["hook", `${origin}/hooks/${source.id}`],
      ["lines", `${origin}/api/v1/sources/${source.id}/posts`],
    ];
  }
  return [
    ["form", `${origin}/forms/${source.id}`],
    ["tag", `<script async src="${origin}/widget/1.js" data-form="${source.id}"></script>`],
  ];
}
