/** The little of OpenAPI 3.1 that the page shows. */

export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  title?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  items?: Schema;
  prefixItems?: Schema[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  required?: string[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
}

export interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: Schema;
}

export type Content = Record<string, { schema?: Schema; example?: unknown }>;

export interface Operation {
  operationId?: string;
  summary?: string;
  description?: string;
  tags?: string[];
  parameters?: Parameter[];
  requestBody?: { content: Content; description?: string };
  responses?: Record<string, { description?: string; content?: Content }>;
  "x-maru-role"?: string;
}

export interface Document {
  info: { title: string; version: string; description?: string };
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

export interface Route {
  id: string;
  method: string;
  path: string;
  operation: Operation;
}

const METHODS = ["get", "post", "put", "patch", "delete"];

/** Every operation, grouped by its first tag or else by the noun in its path. */
export function groups(document: Document): [name: string, routes: Route[]][] {
  const found = new Map<string, Route[]>();
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = operations[method];
      if (!operation) continue;
      const name = operation.tags?.[0] ?? nounOf(path);
      const id = `${method}${path.replace(/[^a-z0-9]+/gi, "-")}`;
      found.set(name, [...(found.get(name) ?? []), { id, method, path, operation }]);
    }
  }
  return [...found].sort(([one], [other]) => one.localeCompare(other));
}

function nounOf(path: string): string {
  const [first = "", , third = ""] = path.split("/").slice(1);
  return first === "api" ? third : first;
}

/** What a reference points to; any other schema is itself. */
export function resolved(schema: Schema, document: Document): Schema {
  const name = nameOf(schema);
  return (name && document.components?.schemas?.[name]) || schema;
}

function nameOf(schema: Schema): string | null {
  return schema.$ref?.split("/").pop() ?? null;
}

/** A schema's type on one line: `Idea[]`, `string (uuid) | null`, `"new" | "planned"`. */
export function typeOf(schema: Schema): string {
  const name = nameOf(schema);
  if (name) return name;
  if (schema.enum) return schema.enum.map((it) => JSON.stringify(it)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.map(typeOf).join(" | ");
  if (schema.allOf) return schema.allOf.map(typeOf).join(" & ");
  if (schema.type === "array") return `${bracketed(schema.items)}[]`;
  const values = schema.additionalProperties;
  if (typeof values === "object") return `{[name]: ${typeOf(values)}}`;
  const type = [schema.type ?? "any"].flat().join(" | ");
  return schema.format ? `${type} (${schema.format})` : type;
}

function bracketed(schema: Schema | undefined): string {
  const type = schema ? typeOf(schema) : "any";
  return type.includes(" ") ? `(${type})` : type;
}

/** The bounds of a value in words. */
export function boundsOf(schema: Schema): string {
  const bounds = [
    schema.minimum === undefined ? "" : `≥ ${schema.minimum}`,
    schema.maximum === undefined ? "" : `≤ ${schema.maximum}`,
    schema.minLength ? `at least ${schema.minLength} characters` : "",
    schema.maxLength === undefined ? "" : `at most ${schema.maxLength} characters`,
    schema.pattern === undefined ? "" : `pattern ${schema.pattern}`,
    schema.default === undefined || schema.default === null
      ? ""
      : `default ${JSON.stringify(schema.default)}`,
  ];
  return bounds.filter(Boolean).join(", ");
}

const DEEPEST = 6;

/** A value that a schema allows, made of its defaults and first choices. */
export function exampleOf(schema: Schema, document: Document, depth = 0): unknown {
  const it = resolved(schema, document);
  if (it.default !== undefined) return it.default;
  if (it.const !== undefined) return it.const;
  if (it.enum) return it.enum[0];
  const choice = it.anyOf?.[0] ?? it.oneOf?.[0] ?? it.allOf?.[0];
  if (choice) return depth < DEEPEST ? exampleOf(choice, document, depth + 1) : null;
  switch ([it.type].flat()[0]) {
    case "object":
      return depth < DEEPEST ? exampleObject(it, document, depth) : {};
    case "array":
      return depth < DEEPEST && it.items ? [exampleOf(it.items, document, depth + 1)] : [];
    case "integer":
    case "number":
      return it.minimum ?? 0;
    case "boolean":
      return false;
    case "string":
      return exampleString(it.format);
    default:
      return null;
  }
}

function exampleObject(schema: Schema, document: Document, depth: number): object {
  const properties = Object.entries(schema.properties ?? {});
  return Object.fromEntries(
    properties.map(([name, it]) => [name, exampleOf(it, document, depth + 1)]),
  );
}

function exampleString(format: string | undefined): string {
  if (format === "uuid") return "0b5f1d2e-7c61-5a7e-9d0c-4f1a52c3b7aa";
  if (format === "date-time") return "2026-11-23T09:30:00Z";
  if (format === "uri") return "https://example.org/post/1";
  return "string";
}

/** A command that calls the operation; `$MARU_KEY` stands for an API key. */
export function commandOf(route: Route, document: Document, origin: string): string {
  const lines = [`curl ${origin}${route.path}`];
  if (route.method !== "get") lines.push(`--request ${route.method.toUpperCase()}`);
  if (route.operation["x-maru-role"] !== "public")
    lines.push('--header "Authorization: Bearer $MARU_KEY"');
  const schema = route.operation.requestBody?.content["application/json"]?.schema;
  if (schema) lines.push(`--json '${JSON.stringify(exampleOf(schema, document))}'`);
  return lines.join(" \\\n  ");
}
