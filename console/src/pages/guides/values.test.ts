import { expect, test } from "vitest";
import type { Guide } from "../../api/guides";
import { inputOf, moved, newChoice, newGuide, newPoll, newStep, valuesOf, withRow } from "./values";

const STEPS = [
  {
    id: "s",
    type: "",
    text: "**Hi**",
    element: null,
    polls: [
      { id: "p", type: "PickList", question: "Your role?", choices: [{ id: "c", text: "Engineer" }] },
      { id: "q", type: "FreeForm", question: "Why?" },
    ],
  },
];

test("what is saved without a change keeps its ids", () => {
  const showing = { layout: "banner", audience: "visitor.id == 'a'", pages: ["/a/*", "/b"], everyDays: 90, startsAt: 1_800_000_000_000 - (1_800_000_000_000 % 60_000), endsAt: null };
  const guide = { id: "g", name: "Survey", state: "draft", ...showing, steps: STEPS.map((step) => ({ ...step, lastUpdatedAt: 0, resetAt: 0 })) };
  expect(inputOf(valuesOf(guide as unknown as Guide))).toEqual({ name: "Survey", ...showing, steps: STEPS });
});

test("what is new has no id, and only a PickList has choices", () => {
  const choices = [{ ...newChoice(), text: "Yes" }];
  const polls = [{ ...newPoll(), choices }, { ...newPoll(), type: "PickList", choices }];
  const { steps, audience, everyDays } = inputOf({ ...newGuide(), steps: [{ ...newStep(), polls }] });
  expect([audience, everyDays]).toEqual([null, null]);
  expect(steps).toEqual([
    { type: "building-block", text: "", element: null, polls: [{ type: "NumberScale", question: "" }, { type: "PickList", question: "", choices: [{ text: "Yes" }] }] },
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
