/** Forms out of JSON Schema, as the models of a connector's settings make it. No Svelte, no words. */

/** As much of JSON Schema as settings are written in. */
export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | readonly string[];
  anyOf?: readonly Schema[];
  oneOf?: readonly Schema[];
  allOf?: readonly Schema[];
  properties?: Record<string, Schema>;
  required?: readonly string[];
  items?: Schema;
  enum?: readonly unknown[];
  const?: unknown;
  title?: string;
  description?: string;
  default?: unknown;
  format?: string;
  writeOnly?: boolean;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
}

/** `json` is whatever has no field of its own, such as an object: it is written as JSON. */
export type FieldKind = "text" | "secret" | "number" | "integer" | "boolean" | "choice" | "list" | "json";

export interface Field {
  name: string;
  title: string;
  hint: string;
  kind: FieldKind;
  required: boolean;
  /** What is set when nothing is written; null for nothing. */
  preset: unknown;
  /** For a choice: what can be chosen, as JSON has it. */
  options: readonly unknown[];
  minimum: number | undefined;
  maximum: number | undefined;
  maxLength: number | undefined;
  /** Whether its text has several lines. */
  multiline: boolean;
}

/** What is written in each field; a boolean is "true" or "false", a list has a line an element. */
export type Written = Record<string, string>;

/** What is wrong with what is written, before anybody is asked. */
export type Fault = "required" | "number" | "integer" | "json";

/** The fields of an object's schema, those that must be filled first. */
export function fieldsOf(schema: Schema): Field[] {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, property]) =>
    fieldOf(name, property, required.has(name), schema.$defs ?? {}),
  );
  return [...fields.filter((it) => it.required), ...fields.filter((it) => !it.required)];
}

function fieldOf(name: string, property: Schema, required: boolean, defs: Record<string, Schema>): Field {
  const schema = resolved(property, defs);
  return {
    name,
    title: titled(name),
    hint: property.description ?? schema.description ?? "",
    kind: kindOf(schema, defs),
    required,
    preset: property.default ?? schema.default ?? null,
    options: optionsOf(schema),
    minimum: schema.minimum,
    maximum: schema.maximum,
    maxLength: schema.maxLength,
    multiline: schema.format === "multiline",
  };
}

/** A schema without references and without the null that makes it optional. */
function resolved(schema: Schema, defs: Record<string, Schema>, depth = 0): Schema {
  if (depth > 8) return {};
  if (schema.$ref) {
    const found = defs[schema.$ref.replace(/^#\/\$defs\//, "")] ?? {};
    return resolved({ ...found, ...without(schema, "$ref") }, defs, depth + 1);
  }
  const branches = (schema.anyOf ?? schema.oneOf ?? schema.allOf)?.filter((it) => it.type !== "null");
  const [only, ...others] = branches ?? [];
  if (!only || others.length) return schema;
  const { anyOf: _any, oneOf: _one, allOf: _all, ...rest } = schema;
  return { ...rest, ...resolved(only, defs, depth + 1) };
}

function without(schema: Schema, key: keyof Schema): Schema {
  return Object.fromEntries(Object.entries(schema).filter(([it]) => it !== key));
}

function kindOf(schema: Schema, defs: Record<string, Schema>): FieldKind {
  if (optionsOf(schema).length) return "choice";
  if (schema.writeOnly || schema.format === "password") return "secret";
  const type = typeof schema.type === "string" ? schema.type : schema.type?.find((it) => it !== "null");
  if (type === "array") return isText(resolved(schema.items ?? {}, defs)) ? "list" : "json";
  if (type === "number" || type === "integer" || type === "boolean") return type;
  return type === "string" ? "text" : "json";
}

function isText(items: Schema): boolean {
  return items.type === "string" && !items.writeOnly;
}

function optionsOf(schema: Schema): readonly unknown[] {
  return schema.enum ?? (schema.const === undefined ? [] : [schema.const]);
}

/** `access_token` as people write it: Access token. The models' own titles shout each word. */
function titled(name: string): string {
  const words = name.split("_").map((it) => (/^(url|id|api|uri)$/.test(it) ? it.toUpperCase() : it));
  const text = words.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What the fields hold at first: what is set already, else the defaults. Secrets are never shown. */
export function writtenOf(fields: readonly Field[], settings: Record<string, unknown> = {}): Written {
  return Object.fromEntries(
    fields.map((field) => {
      const value = field.name in settings ? settings[field.name] : field.preset;
      return [field.name, field.kind === "secret" ? "" : textOf(field, value)];
    }),
  );
}

function textOf(field: Field, value: unknown): string {
  if (value === null || value === undefined) return field.kind === "boolean" ? "false" : "";
  if (field.kind === "list" && Array.isArray(value)) return value.join("\n");
  if (field.kind === "json") return JSON.stringify(value, null, 2);
  if (field.kind === "choice") return JSON.stringify(value);
  return String(value);
}

/**
 * What is written, as settings, and what is wrong with it. Empty fields are left out, so that the
 * default holds; with `was` (the settings as they are shown) an emptied one is set to its default,
 * and an empty secret stays what it is.
 */
export function settingsOf(
  fields: readonly Field[],
  written: Written,
  was?: Record<string, unknown>,
): { settings: Record<string, unknown>; faults: Record<string, Fault> } {
  const settings: Record<string, unknown> = {};
  const faults: Record<string, Fault> = {};
  for (const field of fields) {
    const text = written[field.name] ?? "";
    const kept = field.kind === "secret" && Boolean(was?.[field.name]);
    if (!text.trim()) {
      if (field.required && !kept) faults[field.name] = "required";
      else if (was && field.kind !== "secret") settings[field.name] = field.preset;
      continue;
    }
    const [value, fault] = valueOf(field, text);
    if (fault) faults[field.name] = fault;
    else settings[field.name] = value;
  }
  return { settings, faults };
}

function valueOf(field: Field, text: string): [unknown, Fault | null] {
  switch (field.kind) {
    case "number":
    case "integer": {
      const value = Number(text);
      if (!Number.isFinite(value)) return [null, "number"];
      return field.kind === "integer" && !Number.isInteger(value) ? [null, "integer"] : [value, null];
    }
    case "boolean":
      return [text === "true", null];
    case "list":
      return [text.split("\n").map((it) => it.trim()).filter(Boolean), null];
    case "choice":
    case "json":
      try {
        return [JSON.parse(text), null];
      } catch {
        return [null, "json"];
      }
    case "secret":
    case "text":
      return [text.trim(), null];
  }
}

/**
 * A refusal's reasons by the field that they are about: `settings.url` of a request's body is about
 * `url`, one that names no known field is about "" (the whole form).
 */
export function reasonsOf(
  errors: readonly { field: string; message: string }[],
  known: readonly string[],
): Record<string, string> {
  const reasons: Record<string, string> = {};
  for (const { field, message } of errors) {
    const path = field.replace(/^body\./, "").replace(/^settings\./, "");
    const name = known.find((it) => path === it || path.startsWith(`${it}.`)) ?? "";
    reasons[name] = reasons[name] ? `${reasons[name]} ${sentence(message)}` : `${sentence(message)}`;
  }
  return reasons;
}

function sentence(message: string): string {
  return /[.!?]$/.test(message) ? message : `${message}.`;
}
