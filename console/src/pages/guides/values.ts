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

/** What stands in the form. What is new has no id yet; `key` tells rows apart while they are edited. */
export interface Values {
  name: string;
  steps: StepValues[];
}

export interface StepValues {
  key: string;
  id?: string;
  type: string;
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
export const newStep = (): StepValues => ({ key: newKey(), type: "building-block", polls: [] });

/** A stored guide in the form. */
export function valuesOf({ name, steps }: Guide): Values {
  return {
    name,
    steps: steps.map(({ id, type, polls }) => ({
      key: id,
      id,
      type,
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
export function inputOf({ name, steps }: Values): Schemas["GuideInput"] {
  const known = ({ id }: { id?: string }) => (id === undefined ? {} : { id });
  return {
    name,
    steps: steps.map((step) => ({
      ...known(step),
      type: step.type,
      polls: step.polls.map((poll) => ({
        ...known(poll),
        type: poll.type,
        question: poll.question,
        ...(poll.type === "PickList" ? { choices: poll.choices.map((choice) => ({ ...known(choice), text: choice.text })) } : {}),
      })),
    })),
  };
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
