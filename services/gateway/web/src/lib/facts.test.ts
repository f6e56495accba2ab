import { expect, test } from "vitest";

import { changedIdea, dataOf, events, losesPost } from "./api/events";
import { everyDay } from "./discovered.svelte";
import { EVERYTHING, fromQuery, narrows, toQuery } from "./filters";
import { languageOf, prevailing, safeUrl, starsOf } from "./posts";

test("only http and https addresses are ever linked", () => {
  expect(safeUrl("https://example.org/a b")).toBe("https://example.org/a%20b");
  for (const url of ["javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:text/html,x", "//x", "", null])
    expect(safeUrl(url)).toBeNull();
});

test("an idea's words are in the language of their script", () => {
  expect(languageOf("다크 모드를 넣어 주세요", ["en", "ko"])).toBe("ko");
  expect(languageOf("ダークモード", ["en"])).toBe("ja");
  expect(languageOf("Dark mode, please", ["ko", "en"])).toBe("en");
  expect(languageOf("!!!", ["ko"])).toBeUndefined();
});

test("a mood prevails with more than half", () => {
  expect(prevailing({ negative: 3, neutral: 1, positive: 1 })).toBe("negative");
  expect(prevailing({ negative: 1, neutral: 1, positive: 0 })).toBeNull();
  expect(prevailing({ negative: 0, neutral: 0, positive: 0 })).toBeNull();
});

test("ratings are stars where their scale is short", () => {
  expect(starsOf({ value: 4, best: 5 })).toBe("★★★★☆");
  expect(starsOf({ value: 0, best: 5 })).toBe("☆☆☆☆☆");
  expect(starsOf({ value: 3.5, best: 5 })).toBe("★★★★☆");
  expect(starsOf({ value: 87, best: 100 })).toBeNull();
});

test("filters survive the address bar", () => {
  const filters = { ...EVERYTHING, q: "다크 모드", status: "planned", sort: "voices" } as const;
  expect(fromQuery(toQuery(filters))).toEqual(filters);
  expect(toQuery(EVERYTHING).size).toBe(0);
  expect(fromQuery(new URLSearchParams("status=nonsense&sort=x"))).toEqual(EVERYTHING);
});

test("the order alone narrows nothing", () => {
  expect(narrows({ ...EVERYTHING, sort: "newest" })).toBe(false);
  expect(narrows({ ...EVERYTHING, topic: "price" })).toBe(true);
});

test("events are read across chunks, comments are not events", async () => {
  const chunks = [": ping\n\nevent: x\nda", 'ta: {"a":\ndata: 1}\n', "\r\n\r\ndata: two\n\n"];
  const body = new ReadableStream<Uint8Array>({
    start(stream) {
      for (const chunk of chunks) stream.enqueue(new TextEncoder().encode(chunk));
      stream.close();
    },
  });
  const read = [];
  for await (const data of events(body)) read.push(data);
  expect(read).toEqual(['{"a":\n1}', "two"]);
  expect(dataOf(": ping")).toBeNull();
});

test("an event names the idea that changed", () => {
  expect(changedIdea('{"id": "event", "idea": {"id": "idea"}}')).toBe("idea");
  expect(changedIdea('{"id": "idea"}')).toBe("idea");
  expect(changedIdea("not json")).toBeNull();
});

test("an event tells that an idea loses a post", () => {
  expect(losesPost('{"kind": "evidence_removed", "idea": {"id": "idea"}}')).toBe(true);
  expect(losesPost('{"kind": "voted", "idea": {"id": "idea"}}')).toBe(false);
  expect(losesPost("not json")).toBe(false);
});

test("days without posts are days, too", () => {
  const period = { first: "2026-02-27", last: "2026-03-02" };
  expect(everyDay(period, [{ day: "2026-02-28", posts: 3 }])).toEqual([0, 3, 0, 0]);
});
