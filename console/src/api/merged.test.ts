import { expect, test } from "vitest";
import { merged } from "./merged";

const row = (id: string, status = "delivered") => ({ id, status });

test("what is new stands before what is known, and what has changed stays where it was", () => {
  const shown = [row("c", "retrying"), row("b"), row("a")];
  const now = merged(shown, [row("e"), row("d"), row("c", "failed")], undefined, 10);
  expect(now).toEqual([row("e"), row("d"), row("c", "failed"), row("b"), row("a")]);
});

test("the oldest go when there are too many", () => {
  expect(merged([row("b"), row("a")], [row("d"), row("c")], undefined, 3).map(({ id }) => id)).toEqual(["d", "c", "b"]);
});

test("what is no longer as it was asked for goes", () => {
  expect(merged([row("b", "retrying"), row("a", "retrying")], [row("b")], "retrying", 10)).toEqual([row("a", "retrying")]);
});

test("the same message twice changes nothing", () => {
  const told = [row("b"), row("a")];
  expect(merged(merged([], told, undefined, 10), told, undefined, 10)).toEqual(told);
});
