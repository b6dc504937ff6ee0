import type { Labels, Poll, Step } from "../guides.js";
import { element } from "./markdown.js";

/** The answers to a step's polls, as far as they were given. */
export interface Answers {
  polls: { pollId: string; pollType: string; response: string | number }[];
  nps: { rating: number; reason: string } | null;
}

/** A step's polls in the page. */
export interface Form {
  elements: HTMLElement[];
  answers: () => Answers;
}

/** Longest answer in words. */
const ANSWER_LENGTH = 4_000;
/** The ends of a NumberScale. */
const SCALE = [1, 2, 3, 4, 5];
const NPS = Array.from({ length: 11 }, (_, rating) => rating);

/** The polls of a step, `onChange` called when an answer changes. */
export function form(step: Step, labels: Labels, onChange: () => void): Form {
  const fields = step.polls.map((poll) => ({ poll, field: fieldOf(poll, labels, onChange) }));
  const find = (type: string) => fields.find(({ poll }) => poll.type === type)?.field;
  const [rating, reason] = [find("NPSRating"), find("NPSReason")];
  if (reason !== undefined) {
    // Why is asked of those who have rated.
    const show = () => { reason.element.hidden = rating?.value() === ""; };
    rating?.element.addEventListener("change", show);
    show();
  }
  const answers = (): Answers => {
    const rated = rating?.value() ?? "";
    const given = fields.filter(({ poll, field }) => !poll.type.startsWith("NPS") && field.value() !== "");
    return {
      polls: given.map(({ poll, field }) => ({ pollId: poll.id, pollType: poll.type, response: response(poll, field.value()) })),
      nps: rated === "" ? null : { rating: Number(rated), reason: reason?.value() ?? "" },
    };
  };
  return { elements: fields.map(({ field }) => field.element), answers };
}

function response(poll: Poll, value: string): string | number {
  return poll.type === "NumberScale" || poll.type === "PositiveNegative" ? Number(value) : value;
}

/** A question with its kind of answer; "" when there is none. */
interface FieldElement {
  element: HTMLElement;
  value: () => string;
}

function fieldOf(poll: Poll, labels: Labels, onChange: () => void): FieldElement {
  const numbers = (all: number[]) => all.map((number) => ({ value: String(number), text: String(number) }));
  switch (poll.type) {
    case "NumberScale":
      return radios(poll, "row", numbers(SCALE), onChange);
    case "PositiveNegative":
      return radios(poll, "row", [{ value: "1", text: labels.yes }, { value: "0", text: labels.no }], onChange);
    case "PickList":
      return radios(poll, "column", (poll.choices ?? []).map(({ id, text }) => ({ value: id, text })), onChange);
    case "NPSRating": {
      const field = radios(poll, "row", numbers(NPS), onChange);
      const ends = element("div", [element("span", [text(labels.unlikely)]), element("span", [text(labels.likely)])]);
      ends.className = "ends";
      field.element.append(ends);
      return field;
    }
    case "FreeForm":
    case "NPSReason":
      return words(poll, onChange);
  }
}

function radios(poll: Poll, how: "row" | "column", choices: { value: string; text: string }[], onChange: () => void): FieldElement {
  const group = element("fieldset", [element("legend", [text(poll.question)])]);
  const options = element("div");
  options.className = how;
  const inputs = choices.map((choice) => {
    const input = document.createElement("input");
    input.type = "radio";
    input.name = poll.id;
    input.value = choice.value;
    input.addEventListener("change", onChange);
    options.append(element("label", [input, element("span", [text(choice.text)])]));
    return input;
  });
  group.append(options);
  return { element: group, value: () => inputs.find(({ checked }) => checked)?.value ?? "" };
}

function words(poll: Poll, onChange: () => void): FieldElement {
  const input = document.createElement("textarea");
  input.rows = 3;
  input.maxLength = ANSWER_LENGTH;
  input.addEventListener("input", onChange);
  const label = element("label", [element("span", [text(poll.question)]), input]);
  label.className = "words";
  return { element: label, value: () => input.value.trim() };
}

export function text(words: string): Text {
  return document.createTextNode(words);
}
