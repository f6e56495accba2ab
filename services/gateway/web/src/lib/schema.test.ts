import { expect, test } from "vitest";

import type { Schema } from "./schema";
import { fieldsOf, reasonsOf, settingsOf, writtenOf } from "./schema";

const SCHEMA: Schema = {
  $defs: { Order: { enum: ["new", "top"], type: "string" } },
  required: ["server", "api_key"],
  properties: {
    interval_seconds: { type: "number", default: 300, minimum: 1, description: "How often" },
    most: { anyOf: [{ type: "integer" }, { type: "null" }], default: null },
    replies: { type: "boolean", default: true },
    timeline: { anyOf: [{ enum: ["public", "home"], type: "string" }, { type: "null" }], default: null },
    order: { allOf: [{ $ref: "#/$defs/Order" }], default: "new" },
    videos: { type: "array", items: { type: "string" }, default: [] },
    mapping: { type: "object" },
    token: { anyOf: [{ type: "string", format: "password", writeOnly: true }, { type: "null" }] },
    server: { type: "string", maxLength: 300 },
    api_key: { type: "string", format: "password", writeOnly: true },
  },
};
const FIELDS = fieldsOf(SCHEMA);

test("each kind of setting has its kind of field, required ones first", () => {
  expect(FIELDS.slice(0, 2).map((it) => it.name)).toEqual(["server", "api_key"]);
  expect(Object.fromEntries(FIELDS.map((it) => [it.name, it.kind]))).toEqual({
    server: "text",
    api_key: "secret",
    interval_seconds: "number",
    most: "integer",
    replies: "boolean",
    timeline: "choice",
    order: "choice",
    videos: "list",
    mapping: "json",
    token: "secret",
  });
});

test("a field has its title, its hint, its bounds and its choices", () => {
  const field = (name: string) => FIELDS.find((it) => it.name === name);
  expect(field("interval_seconds")).toMatchObject({ title: "Interval seconds", hint: "How often", minimum: 1 });
  expect(field("api_key")?.title).toBe("API key");
  expect(field("server")?.maxLength).toBe(300);
  expect(field("timeline")?.options).toEqual(["public", "home"]);
  expect(field("order")?.options).toEqual(["new", "top"]);
});

test("a schema that refers to itself makes a field all the same", () => {
  const round: Schema = { $defs: { A: { $ref: "#/$defs/A" } }, properties: { a: { $ref: "#/$defs/A" } } };
  expect(fieldsOf(round).map((it) => it.kind)).toEqual(["json"]);
});

test("a new form holds the defaults", () => {
  expect(writtenOf(FIELDS)).toMatchObject({
    interval_seconds: "300", most: "", replies: "true", timeline: "", order: '"new"', videos: "", server: "",
  });
});

test("what is written becomes settings of the right types", () => {
  const written = {
    ...writtenOf(FIELDS),
    server: " https://s.example ",
    api_key: "k",
    most: "5",
    replies: "false",
    timeline: '"home"',
    videos: "a\n\n b ",
    mapping: '{"text": "$.body"}',
  };
  expect(settingsOf(FIELDS, written)).toEqual({
    faults: {},
    settings: {
      server: "https://s.example",
      api_key: "k",
      interval_seconds: 300,
      most: 5,
      replies: false,
      timeline: "home",
      order: "new",
      videos: ["a", "b"],
      mapping: { text: "$.body" },
    },
  });
});

test("what cannot be meant is a fault of its field", () => {
  const written = { interval_seconds: "often", most: "1.5", mapping: "{", server: " " };
  expect(settingsOf(FIELDS, written).faults).toEqual({
    server: "required", api_key: "required", interval_seconds: "number", most: "integer", mapping: "json",
  });
});

test("a form that changes nothing keeps the secrets and loses no setting", () => {
  const was = {
    server: "https://s.example", api_key: "**********", token: null, interval_seconds: 60, most: 3, replies: false,
    timeline: "home", order: "top", videos: ["x"], mapping: { a: 1 },
  };
  const { api_key: _key, token: _token, ...open } = was;
  const written = writtenOf(FIELDS, was);
  expect(written["api_key"]).toBe("");
  expect(settingsOf(FIELDS, written, was)).toEqual({ settings: open, faults: {} });
});

test("an emptied setting goes back to its default", () => {
  const was = { server: "s", api_key: "*", most: 3, videos: ["x"] };
  const written = { ...writtenOf(FIELDS, was), most: "", videos: "" };
  expect(settingsOf(FIELDS, written, was).settings).toMatchObject({ most: null, videos: [] });
});

test("a refusal's reasons are told at their fields", () => {
  const errors = [
    { field: "body.settings.url", message: "Field required" },
    { field: "settings.videos.2", message: "No such id." },
    { field: "body.name", message: "Too long" },
    { field: "settings", message: "Give one" },
  ];
  expect(reasonsOf(errors, ["url", "videos", "name"])).toEqual({
    url: "Field required.", videos: "No such id.", name: "Too long.", "": "Give one.",
  });
});
