import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { asCurl } from "./curl";

/** What a shell makes of a command: its words. */
function words(command: string): string[] {
  const printed = execFileSync("sh", ["-c", `set -- ${command}; for word; do printf '%s\\0' "$word"; done`], { encoding: "utf8" });
  return printed.split("\0").slice(0, -1);
}

test("a shell reads back what was sent, whatever is in it", () => {
  const url = "https://example.com/a?b='c'&d=$(touch x)";
  const body = `{"reason":"it's \`fine\` \\\\ $HOME\\n"}`;
  const headers = [
    { name: "Host", value: "example.com" },
    { name: "X-Note", value: "'; rm -rf /'" },
  ];
  expect(words(asCurl(url, headers, body))).toEqual(["curl", "-i", url, "-H", "X-Note: '; rm -rf /'", "--data-binary", body]);
});
