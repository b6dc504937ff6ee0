import { expect, test } from "vitest";
import { inputOf, NEW, newSecret } from "./values";

test("categories are sent in their own order, or all of them", () => {
  expect(inputOf({ ...NEW, all: false, categories: ["nps", "guides"] }).categories).toEqual(["guides", "nps"]);
  expect(inputOf(NEW).categories).toBe("all");
});

test("an empty secret keeps what is set, and only a wish takes it away", () => {
  expect(inputOf(NEW)).not.toHaveProperty("secret");
  expect(inputOf({ ...NEW, dropSecret: true }).secret).toBeNull();
  expect(inputOf({ ...NEW, dropSecret: true, secret: " x " }).secret).toBe(" x ");
});

test("generated secrets differ and can be pasted", () => {
  const secrets = new Set(Array.from({ length: 50 }, newSecret));
  expect(secrets.size).toBe(50);
  for (const secret of secrets) expect(secret).toMatch(/^[A-Za-z0-9_-]{32}$/);
});
