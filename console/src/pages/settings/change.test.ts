import { expect, test } from "vitest";
import { changeOf } from "./change";

test("a change says what was and what is; a creation only what is", () => {
  expect(changeOf({ before: { state: "off", filter: null }, after: { state: "on", filter: "true" } })).toBe(
    "state: off → on, filter: none → true",
  );
  expect(changeOf({ before: {}, after: { name: "Orders", filter: null, headers: [], audit: false } })).toBe(
    "name: Orders, audit: false",
  );
  expect(changeOf({ before: { name: "Orders" }, after: {} })).toBe("name: Orders");
});
