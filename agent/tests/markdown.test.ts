// @vitest-environment jsdom
import { expect, test } from "vitest";
import { markdown } from "../src/guides/markdown";
import { isOn } from "../src/guides/pages";

function html(text: string): string {
  const holder = document.createElement("div");
  holder.append(markdown(text));
  return holder.innerHTML;
}

const attributes = 'target="_blank" rel="noopener noreferrer"';

test.each([
  ["# Hello\n\nTwo *small* and **large** `words`\nand a line", "<h2>Hello</h2><p>Two <em>small</em> and <strong>large</strong> <code>words</code><br>and a line</p>"],
  ["- one\n- **two**\n\n1. first\n2) second", "<ul><li>one</li><li><strong>two</strong></li></ul><ol><li>first</li><li>second</li></ol>"],
  ["Read [the *docs*](https://example.com/a?b=c) or [write](mailto:a@b.c)", `<p>Read <a href="https://example.com/a?b=c" ${attributes}>the <em>docs</em></a> or <a href="mailto:a@b.c" ${attributes}>write</a></p>`],
  ["2 * 3 * 4 and **not closed", "<p>2 * 3 * 4 and **not closed</p>"],
  ["", ""],
])("%j", (text, expected) => {
  expect(html(text)).toBe(expected);
});

test.each([
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "[click](javascript:alert(1))",
  "[click](JaVaScRiPt:alert%281%29)",
  "[click](data:text/html,<script>alert(1)</script>)",
  "**<svg onload=alert(1)>**",
  '[x](https://e.com/"onmouseover="alert)',
  "`<b>`",
])("nothing in it can run: %s", (text) => {
  const holder = document.createElement("div");
  holder.append(markdown(text));
  const all = [...holder.querySelectorAll("*")];
  expect(all.every(({ tagName }) => ["P", "A", "STRONG", "EM", "CODE"].includes(tagName))).toBe(true);
  expect(all.flatMap((element) => element.getAttributeNames()).every((name) => ["href", "target", "rel"].includes(name))).toBe(true);
  expect(all.every((element) => !/^(javascript|data):/i.test(element.getAttribute("href") ?? ""))).toBe(true);
});

test("whatever is written, it ends soon", () => {
  for (const text of ["*".repeat(20_000), "[".repeat(20_000), "**a".repeat(5_000), "[a](".repeat(5_000), "`".repeat(20_001)]) {
    expect(html(text).length).toBeGreaterThan(0);
  }
});

test.each([
  [[], "https://app.test/any", true],
  [["/settings/*"], "https://app.test/settings/users", true],
  [["/settings/*"], "https://app.test/settings", false],
  [["/settings"], "https://app.test/settings", true],
  [["/"], "https://app.test", true],
  [["https://app.test/*"], "https://app.test/x", true],
  [["https://app.test/*"], "https://other.test/x", false],
  [["/a*b*c"], "https://app.test/a-b-b-c", true],
  [["/a*b*c"], "https://app.test/a-c", false],
  [["/ab*ba"], "https://app.test/aba", false],
  [["*"], "", true],
])("%j names %s: %s", (pages, address, is) => {
  expect(isOn(pages, address)).toBe(is);
});
