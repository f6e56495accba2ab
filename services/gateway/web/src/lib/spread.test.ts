import { expect, test } from "vitest";

import { timesSpread } from "./spread";

test("an article in three feeds is spread three times", () => {
  expect(timesSpread({ evidence_count: 1, copies: 2, reposts: 0 })).toBe(3);
});

test("what nobody passes on is not spread", () => {
  expect(timesSpread({ evidence_count: 5, copies: 0, reposts: 0 })).toBe(0);
});
