import type { Values } from "./values";

/** What each part of the form is given. */
export interface PartProps {
  values: Values;
  set: <Name extends keyof Values>(name: Name, value: Values[Name]) => void;
  /** Why saving was refused, if it was. */
  error: unknown;
}
