import type { Idea } from "./api/types";

/** How often the words behind an idea were published, if others spread them; 0 if nobody did. */
export function timesSpread(idea: Pick<Idea, "evidence_count" | "copies" | "reposts">): number {
  const others = idea.copies + idea.reposts;
  return others ? idea.evidence_count + others : 0;
}
