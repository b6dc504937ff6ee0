import { base } from "./client";

/** Where a list is downloaded, narrowed as it is on the page. */
export function downloadUrl(path: string, narrowed: Record<string, string | undefined> = {}): string {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(narrowed)) if (value) url.searchParams.set(name, value);
  return url.href;
}
