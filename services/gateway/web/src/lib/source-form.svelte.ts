/** The form of a source: what all have, what its kind has, and what was wrong with them. */

import { tick } from "svelte";

import type { Problem } from "./api/problem";
import type { Common, Connector, Source } from "./api/sources";
import type { Channel } from "./api/types";
import { CHANNELS } from "./api/types";
import type { Fault, Field, Written } from "./schema";
import { fieldsOf, reasonsOf, settingsOf, writtenOf } from "./schema";

/** The fields that every source has; their words are the board's. */
const COMMON: readonly Field[] = [
  common("name", "text", { required: true, maxLength: 200 }),
  common("product", "text", { preset: "", maxLength: 100 }),
  common("channel", "choice", { options: CHANNELS }),
  common("daily_requests", "integer", { minimum: 1 }),
];

function common(name: string, kind: Field["kind"], more: Partial<Field>): Field {
  const none = { options: [], minimum: undefined, maximum: undefined, maxLength: undefined, multiline: false };
  return { name, title: name, hint: "", kind, required: false, preset: null, ...none, ...more };
}

/** Takes people to the first field of a form that something is wrong with. */
export async function toWrong(form: HTMLFormElement | undefined): Promise<void> {
  await tick();
  form?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}

/** Both kinds of fields may have one name, such as `channel`: their values are kept apart. */
export class SourceForm {
  readonly common: readonly Field[];
  readonly fields: readonly Field[];
  written: Written = $state({});
  set: Written = $state({});
  faults: Record<string, Fault> = $state.raw({});
  setFaults: Record<string, Fault> = $state.raw({});
  reasons: Record<string, string> = $state.raw({});
  setReasons: Record<string, string> = $state.raw({});

  constructor(
    readonly kind: Connector,
    readonly was?: Source,
  ) {
    this.common = COMMON.filter((it) => !(kind.pushed && it.name === "daily_requests")).map((it) =>
      // A source that there is has its channel; "as usual" is for new ones.
      it.name === "channel" ? { ...it, required: was !== undefined } : it,
    );
    this.fields = fieldsOf(kind.settings);
    this.written = writtenOf(this.common, { ...was });
    this.set = writtenOf(this.fields, was?.settings);
  }

  /** The settings as they are written; null, with the faults told, when something is wrong. */
  settings(): Record<string, unknown> | null {
    const { settings, faults } = settingsOf(this.fields, this.set, this.was?.settings);
    this.#forget();
    this.setFaults = faults;
    return Object.keys(faults).length ? null : settings;
  }

  /** Everything as it is written; null, with the faults told, when something is wrong. */
  all(): Common | null {
    const settings = this.settings();
    const { settings: own, faults } = settingsOf(this.common, this.written);
    this.faults = faults;
    if (!settings || Object.keys(faults).length) return null;
    return {
      name: String(own["name"]),
      product: String(own["product"] ?? ""),
      channel: (own["channel"] as Channel | undefined) ?? null,
      daily_requests: (own["daily_requests"] as number | undefined) ?? null,
      settings,
    };
  }

  /** Tell a refusal at the fields that it is about, the rest above the form. */
  refuse(problem: Problem, unreachable: string): void {
    const [ofSettings, ofAll] = [true, false].map((it) =>
      problem.errors.filter(({ field }) => /^(body\.)?settings\./.test(field) === it),
    );
    this.setReasons = reasonsOf(ofSettings!, this.fields.map((it) => it.name));
    this.reasons = reasonsOf(ofAll!, this.common.map((it) => it.name));
    const told = this.setReasons[""] ?? "";
    if (!problem.errors.length)
      this.reasons = { "": problem.status ? problem.detail || problem.title : unreachable };
    else if (told) this.reasons = { ...this.reasons, "": `${this.reasons[""] ?? ""} ${told}`.trim() };
  }

  #forget(): void {
    [this.faults, this.setFaults, this.reasons, this.setReasons] = [{}, {}, {}, {}];
  }
}
