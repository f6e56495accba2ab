/** The language that the board speaks: the reader's choice, else the browser's. */

import type { Catalogue } from "./en";
import { en } from "./en";
import { ko } from "./ko";

const SLOT = "maru.language";
export const LANGUAGES = { en: "English", ko: "한국어" } as const;
export type Language = keyof typeof LANGUAGES;

const CATALOGUES: Record<Language, Catalogue> = { en, ko };
const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** The first of the reader's languages that the board speaks. */
export function preferred(chosen: string | null, wanted: readonly string[]): Language {
  const known = [chosen, ...wanted].map((it) => it?.slice(0, 2));
  return known.find((it): it is Language => it !== undefined && it in LANGUAGES) ?? "en";
}

class Speech {
  language = $state(preferred(localStorage.getItem(SLOT), navigator.languages));
  readonly say = $derived(CATALOGUES[this.language]);
  readonly #names = $derived(new Intl.DisplayNames(this.language, { type: "language" }));
  readonly #ages = $derived(new Intl.RelativeTimeFormat(this.language, { numeric: "auto" }));
  readonly #days = $derived(new Intl.DateTimeFormat(this.language, { dateStyle: "medium" }));
  readonly #moments = $derived(
    new Intl.DateTimeFormat(this.language, { dateStyle: "long", timeStyle: "short" }),
  );
  readonly #numbers = $derived(new Intl.NumberFormat(this.language));
  readonly #scores = $derived(
    new Intl.NumberFormat(this.language, { minimumFractionDigits: 2, maximumFractionDigits: 2 }),
  );

  readonly #shares = $derived(
    new Intl.NumberFormat(this.language, { style: "percent", maximumFractionDigits: 1 }),
  );

  choose(language: Language): void {
    this.language = language;
    localStorage.setItem(SLOT, language);
  }

  /** A language's name in the reader's language; an unknown code stays as it is. */
  languageName(code: string): string {
    if (code === "und") return "—";
    try {
      return this.#names.of(code) ?? code;
    } catch {
      return code;
    }
  }

  number(value: number): string {
    return this.#numbers.format(value);
  }

  score(value: number): string {
    return this.#scores.format(value);
  }

  /** How long ago a moment was, in its largest whole unit. */
  ago(moment: string, now = Date.now()): string {
    const seconds = (Date.parse(moment) - now) / 1000;
    const found = UNITS.find(([, size]) => Math.abs(seconds) >= size);
    if (!found) return this.#ages.format(0, "second");
    const [unit, size] = found;
    return this.#ages.format(Math.trunc(seconds / size), unit);
  }

  share(value: number): string {
    return this.#shares.format(value);
  }

  day(moment: string): string {
    return this.#days.format(new Date(moment));
  }

  moment(moment: string): string {
    return this.#moments.format(new Date(moment));
  }
}

export const speech = new Speech();
