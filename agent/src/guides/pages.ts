/**
 * Whether a guide's pages name this one. One that begins with "/" is held against the path, any other against the whole
 * address; `*` stands for any text.
 */
export function isOn(pages: readonly string[], address: string): boolean {
  if (pages.length === 0) return true;
  const path = address.replace(/^[a-z]+:\/\/[^/]*/i, "") || "/";
  return pages.some((page) => matches(page, page.startsWith("/") ? path : address));
}

/** Without a regular expression, which somebody's pattern could make slow. */
function matches(pattern: string, text: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return text === pattern;
  if (!text.startsWith(first)) return false;
  const last = rest.pop() ?? "";
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
