/** Pure facts about texts and links that strangers wrote. */

import type { Mood, Rating } from "./api/types";

const SCRIPTS: readonly [RegExp, string][] = [
  [/\p{Script=Hangul}/u, "ko"],
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/u, "ja"],
  [/\p{Script=Han}/u, "zh"],
];

/** The language of an idea's words, among those it was heard in: its script decides. */
export function languageOf(text: string, languages: readonly string[]): string | undefined {
  const ofScript = SCRIPTS.find(([script]) => script.test(text))?.[1];
  if (ofScript) return ofScript;
  return languages.find((it) => !SCRIPTS.some(([, language]) => language === it) && it !== "und");
}

/** An address that a browser may be sent to; null for anything but http and https. */
export function safeUrl(url: string | null): string | null {
  if (!url || !URL.canParse(url)) return null;
  const { protocol, href } = new URL(url);
  return protocol === "https:" || protocol === "http:" ? href : null;
}

/** Whoever did something, short enough to read: a key is known by its first characters. */
export function nameOf(actor: string): string {
  return actor.replace(/^key:([0-9a-f]{8})[0-9a-f-]*$/, "$1…");
}

/** The site of an address, as people say it. */
export function siteOf(url: string): string {
  return new URL(url).host.replace(/^www\./, "");
}

const MOST_STARS = 10;

/** A rating as full and empty stars; null where its scale is none of stars, such as 87 of 100. */
export function starsOf({ value, best }: Rating): string | null {
  if (!Number.isInteger(best) || best > MOST_STARS) return null;
  const full = Math.min(Math.max(Math.round(value), 0), best);
  return "★".repeat(full) + "☆".repeat(best - full);
}

/** The mood of more than half of the posts; null if there is none. */
export function prevailing(mood: Record<Mood, number>): Mood | null {
  const total = mood.negative + mood.neutral + mood.positive;
  const found = (Object.keys(mood) as Mood[]).find((it) => mood[it] * 2 > total);
  return found ?? null;
}
