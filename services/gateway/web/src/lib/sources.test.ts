import { expect, test } from "vitest";

import { Problem } from "./api/problem";
import type { Connector, Health } from "./api/sources";
import { SourceForm } from "./source-form.svelte";
import { askedToday, healthsOf, weekOf } from "./sources.svelte";

const NOW = Date.parse("2026-03-02T09:30:00Z");
const day = (date: string, posts: number, requests = 0) => ({ date, posts, requests, rejected: 0 });

const VIDEOS: Connector = {
  kind: "video", title: "Videos", summary: "", channel: "video", capabilities: [], pushed: false, form: false,
  settings: { required: ["channel"], properties: { channel: { type: "string" }, most: { type: "integer" } } },
};

test("a week has seven days, those without posts too", () => {
  const days = [day("2026-02-20", 9), day("2026-02-24", 1), day("2026-02-28", 3), day("2026-03-02", 2)];
  expect(weekOf({ days }, NOW)).toEqual([1, 0, 0, 0, 3, 0, 2]);
});

test("only today's requests count for the quota", () => {
  expect(askedToday({ days: [day("2026-03-01", 0, 7), day("2026-03-02", 0, 4)] }, NOW)).toBe(4);
  expect(askedToday({ days: [day("2026-03-01", 0, 7)] }, NOW)).toBe(0);
});

test("states are offered that some source is in", () => {
  const sources = (["broken", "healthy", "broken"] as Health[]).map((health) => ({ health }));
  expect(healthsOf(sources)).toEqual([["healthy", 1], ["broken", 2]]);
});

test("a setting may have the name of what every source has", () => {
  const form = new SourceForm(VIDEOS);
  form.written["name"] = "Ours";
  form.written["channel"] = '"review"';
  form.set["channel"] = "@maru";
  expect(form.all()).toEqual({
    name: "Ours", product: "", channel: "review", daily_requests: null, settings: { channel: "@maru" },
  });

  form.refuse(
    new Problem(422, "", "", [
      { field: "settings.channel", message: "No such channel" },
      { field: "body.channel", message: "No such medium" },
      { field: "settings", message: "Give a channel or videos" },
    ]),
    "",
  );
  expect(form.setReasons["channel"]).toBe("No such channel.");
  expect(form.reasons).toEqual({ channel: "No such medium.", "": "Give a channel or videos." });
});

test("what a source says without naming a field is told above the form", () => {
  const form = new SourceForm(VIDEOS);
  form.refuse(new Problem(422, "Unprocessable", "host answers 404."), "offline");
  expect(form.reasons).toEqual({ "": "host answers 404." });
  form.refuse(new Problem(0, "", "fetch failed"), "offline");
  expect(form.reasons).toEqual({ "": "offline" });
});
