import { expect, test } from "vitest";
import { eventOf } from "./event-of";

test("the event's name is read from a body that has one", () => {
  expect(eventOf('{"accountId":"a","event":"npsSubmitted"}')).toBe("npsSubmitted");
  for (const body of ["", "text", "null", "[]", '{"event":7}', '{"event":"cut']) expect(eventOf(body)).toBeUndefined();
});
