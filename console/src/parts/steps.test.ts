import { expect, test } from "vitest";
import { axisEnd, path, stepsOf } from "./steps";

test("steps in which nothing happened are there, without figures", () => {
  const step = { at: "2026-01-01T00:05:00Z", delivered: 1, failed: 0, attempts: 1, failed_attempts: 0, p50_ms: 1, p95_ms: 1, p99_ms: 1, waited_min: 0 };
  const steps = stepsOf({ from: "2026-01-01T00:01:00Z", to: "2026-01-01T00:11:00Z", step_min: 5, data: [step] });
  expect(steps.map(({ at, step }) => [at.toISOString().slice(11, 16), step?.delivered])).toEqual([
    ["00:00", undefined],
    ["00:05", 1],
    ["00:10", undefined],
  ]);
});

test.each([[0, 1], [0.3, 0.5], [7, 10], [10, 10], [11, 20], [2300, 5000]])("an axis for %d ends at %d", (largest, end) => {
  expect(axisEnd(largest)).toBeCloseTo(end);
});

test("a line is broken where nothing is known", () => {
  expect(path([1, undefined, 2, 3], (index) => index, (value) => 10 - value)).toBe("M0.0 9.0h0M2.0 8.0h0L3.0 7.0");
});
