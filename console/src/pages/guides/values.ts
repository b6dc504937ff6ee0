import type { Schemas } from "../../api/client";
import type { Guide } from "../../api/guides";

/** The kinds of polls, as people read them. */
export const POLLS: Record<string, string> = {
  NumberScale: "A number on a scale",
  PositiveNegative: "Yes or no",
  FreeForm: "Text",
  PickList: "One of several answers",
  NPSRating: "NPS: a rating from 0 to 10",
  NPSReason: "NPS: the reason for the rating",
};

/** How guides look, as people read it. */
export const LAYOUTS: Record<string, string> = {
  modal: "Modal: in the middle of the page",
  banner: "Banner: across its top",
  tooltip: "Tooltip: beside an element",
};

/** What stands in the form. What is new has no id yet; `key` tells rows apart while they are edited. */
export interface Values {
  name: string;
  showing: ShowingValues;
  steps: StepValues[];
}

export interface ShowingValues {
  layout: string;
  audience: string;
  /** One in a line. */
  pages: string;
  everyDays: number | "";
  /** Local times, as inputs have them; "" for none. */
  startsAt: string;
  endsAt: string;
}

export interface StepValues {
  key: string;
  id?: string;
  type: string;
  text: string;
  element: string;
  polls: PollValues[];
}

export interface PollValues {
  key: string;
  id?: string;
  type: string;
  question: string;
  choices: ChoiceValues[];
}

export interface ChoiceValues {
  key: string;
  id?: string;
  text: string;
}

let made = 0;

/** A key for a row that is made now. */
function newKey(): string {
  made += 1;
  return `new-${made}`;
}

export const newChoice = (): ChoiceValues => ({ key: newKey(), text: "" });
export const newPoll = (): PollValues => ({ key: newKey(), type: "NumberScale", question: "", choices: [] });
export const newStep = (): StepValues => ({ key: newKey(), type: "building-block", text: "", element: "", polls: [] });
export const newGuide = (): Values => ({
  name: "",
  showing: { layout: "modal", audience: "", pages: "", everyDays: "", startsAt: "", endsAt: "" },
  steps: [newStep()],
});

/** A stored guide in the form. */
export function valuesOf({ name, steps, layout, audience, pages, everyDays, startsAt, endsAt }: Guide): Values {
  return {
    name,
    showing: {
      layout,
      audience: audience ?? "",
      pages: pages.join("\n"),
      everyDays: everyDays ?? "",
      startsAt: localOf(startsAt),
      endsAt: localOf(endsAt),
    },
    steps: steps.map(({ id, type, text, element, polls }) => ({
      key: id,
      id,
      type,
      text,
      element: element ?? "",
      polls: polls.map((poll) => ({
        key: poll.id,
        id: poll.id,
        type: poll.type,
        question: poll.question,
        choices: (poll.choices ?? []).map((choice) => ({ key: choice.id, ...choice })),
      })),
    })),
  };
}

/** The form as the API takes it. */
export function inputOf({ name, showing, steps }: Values): Schemas["GuideInput"] {
  const known = ({ id }: { id?: string }) => (id === undefined ? {} : { id });
  const orNull = (text: string) => (text.trim() === "" ? null : text.trim());
  return {
    name,
    layout: showing.layout,
    audience: orNull(showing.audience),
    pages: showing.pages.split("\n").map((page) => page.trim()).filter((page) => page !== ""),
    everyDays: showing.everyDays === "" ? null : showing.everyDays,
    startsAt: msOf(showing.startsAt),
    endsAt: msOf(showing.endsAt),
    steps: steps.map((step) => ({
      ...known(step),
      type: step.type,
      text: step.text,
      element: orNull(step.element),
      polls: step.polls.map((poll) => ({
        ...known(poll),
        type: poll.type,
        question: poll.question,
        ...(poll.type === "PickList" ? { choices: poll.choices.map((choice) => ({ ...known(choice), text: choice.text })) } : {}),
      })),
    })),
  };
}

/** A time as an input for local times has it: to the minute. */
function localOf(ms: number | null | undefined): string {
  if (ms == null) return "";
  const local = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

function msOf(local: string): number | null {
  return local === "" ? null : new Date(local).getTime();
}

/** A list with one row changed; undefined takes it out. */
export function withRow<T extends { key: string }>(rows: T[], key: string, change: Partial<T> | undefined): T[] {
  if (change === undefined) return rows.filter((row) => row.key !== key);
  return rows.map((row) => (row.key === key ? { ...row, ...change } : row));
}

/** A list with one row moved up or down, where there is room. */
export function moved<T extends { key: string }>(rows: T[], key: string, by: 1 | -1): T[] {
  const from = rows.findIndex((row) => row.key === key);
  const to = from + by;
  const row = rows[from];
  if (row === undefined || to < 0 || to >= rows.length) return rows;
  const rest = rows.filter((other) => other.key !== key);
  return [...rest.slice(0, to), row, ...rest.slice(to)];
}
