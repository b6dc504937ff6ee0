import { expect, test } from "vitest";
import type { Guide } from "../../api/guides";
import { inputOf, moved, newChoice, newPoll, newStep, valuesOf, withRow } from "./values";

const STEPS = [
  {
    id: "s",
    type: "",
    polls: [
      { id: "p", type: "PickList", question: "Your role?", choices: [{ id: "c", text: "Engineer" }] },
      { id: "q", type: "FreeForm", question: "Why?" },
    ],
  },
];

test("what is saved without a change keeps its ids", () => {
  const guide = { id: "g", name: "Survey", state: "draft", steps: STEPS.map((step) => ({ ...step, lastUpdatedAt: 0, resetAt: 0 })) };
  expect(inputOf(valuesOf(guide as unknown as Guide))).toEqual({ name: "Survey", steps: STEPS });
});

test("what is new has no id, and only a PickList has choices", () => {
  const choices = [{ ...newChoice(), text: "Yes" }];
  const polls = [{ ...newPoll(), choices }, { ...newPoll(), type: "PickList", choices }];
  const { steps } = inputOf({ name: "n", steps: [{ ...newStep(), polls }] });
  expect(steps).toEqual([
    { type: "building-block", polls: [{ type: "NumberScale", question: "" }, { type: "PickList", question: "", choices: [{ text: "Yes" }] }] },
  ]);
});

test("rows are changed, taken out and moved by their keys", () => {
  const rows = ["a", "b", "c"].map((key) => ({ key, text: key }));
  expect(withRow(rows, "b", { text: "x" }).map(({ text }) => text)).toEqual(["a", "x", "c"]);
  expect(withRow(rows, "b", undefined).map(({ key }) => key)).toEqual(["a", "c"]);
  expect(moved(rows, "b", 1).map(({ key }) => key)).toEqual(["a", "c", "b"]);
  expect(moved(rows, "b", -1).map(({ key }) => key)).toEqual(["b", "a", "c"]);
  expect(moved(rows, "a", -1)).toEqual(rows);
  expect(moved(rows, "c", 1)).toEqual(rows);
});
