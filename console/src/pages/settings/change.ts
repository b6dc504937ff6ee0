/** What an entry of the audit log changed, a field after the other; what was not set and is not set is left out. */
export function changeOf({ before, after }: { before: object; after: object }): string {
  const [old, now] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  const names = [...new Set([...old.keys(), ...now.keys()])];
  const changes = names.map((name) => {
    const [was, is] = [inWords(old.get(name)), inWords(now.get(name))];
    if (old.has(name) && now.has(name)) return `${name}: ${was || "none"} → ${is || "none"}`;
    return was || is ? `${name}: ${was || is}` : "";
  });
  return changes.filter((change) => change !== "").join(", ");
}

function inWords(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.map(inWords).join(" ");
  return typeof value === "string" ? value : JSON.stringify(value);
}
