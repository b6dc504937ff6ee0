import { expect, test } from "vitest";
import { ago, duration } from "./time";

const now = new Date("2026-11-25T12:00:00Z");

test.each([
  ["2026-11-25T12:00:00Z", "now"],
  ["2026-11-25T11:59:18Z", "42 seconds ago"],
  ["2026-11-25T11:00:00Z", "1 hour ago"],
  ["2026-11-24T11:00:00Z", "yesterday"],
  ["2026-11-25T12:05:00Z", "in 5 minutes"],
])("%s is %s", (at, words) => {
  expect(ago(new Date(at), now)).toBe(words);
});

test.each([
  [0.25, "0.25 ms"],
  [3.14159, "3.1 ms"],
  [250, "250 ms"],
  [2_345, "2.35 s"],
  [61_000, "61.0 s"],
])("%d ms reads %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});
