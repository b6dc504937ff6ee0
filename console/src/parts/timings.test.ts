import { expect, test } from "vitest";
import { partsOf } from "./timings";

test("each part lasts from the end of the one before it; what did not happen is left out", () => {
  const kept = { dns_ms: null, connect_ms: null, tls_ms: null, first_byte_ms: 12, total_ms: 15 };
  expect(partsOf(kept).map(({ name, ms }) => [name, ms])).toEqual([
    ["Waiting", 12],
    ["Reading", 3],
  ]);
  const fresh = { dns_ms: 1, connect_ms: 3, tls_ms: 10, first_byte_ms: 20, total_ms: 21 };
  expect(partsOf(fresh).map(({ ms }) => ms)).toEqual([1, 2, 7, 10, 1]);
});

test("an attempt without an answer says so, instead of reading one", () => {
  const refused = { dns_ms: null, connect_ms: null, tls_ms: null, first_byte_ms: null, total_ms: 0.25 };
  expect(partsOf(refused).map(({ name }) => name)).toEqual(["No answer"]);
});
