import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { snippet } from "./snippet";

test("the snippet is the one that the documentation explains", () => {
  const docs = readFileSync(new URL("../../../../docs/agent.md", import.meta.url), "utf8");
  expect(docs).toContain(snippet("https://fanfare.example.com", "AGENT_KEY"));
});
