import type { Host } from "./host.js";
import { NAME_LENGTH } from "./limits.js";

/** What is known of a visitor or an account beside the id. */
export type Fields = Record<string, unknown>;

/** A visitor or an account as an application names it: an id, and whatever else it tells. */
export interface Named {
  id?: string | number | null | undefined;
  [field: string]: unknown;
}

/** Who uses the page, and for which account. */
export interface Who {
  visitorId: string;
  /** "" for none. */
  accountId: string;
  visitor: Fields;
  account: Fields;
}

/** What ids begin with that the agent makes up for somebody who is not signed in. */
const ANONYMOUS = "_PENDO_T_";
const ANONYMOUS_LENGTH = 11;
const CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/** Where such an id is kept, for all pages of the application's origin. */
const KEY = "fanfare.anonymous";

/** An id as the server means it; "" when it is none: words that stand for nobody in snippets that were pasted as they are. */
export function idOf(id: unknown): string {
  const text = typeof id === "number" && Number.isFinite(id) ? String(id) : id;
  if (typeof text !== "string" || text.length > NAME_LENGTH) return "";
  const word = text.trim();
  return ["", "null", "undefined", "VISITOR-UNIQUE-ID", "ACCOUNT-UNIQUE-ID"].includes(word) ? "" : text;
}

export function isAnonymous(visitorId: string): boolean {
  return visitorId.startsWith(ANONYMOUS);
}

/** The id of somebody who is not signed in: the same in all tabs, until somebody signs in. */
export function anonymousId(host: Host): string {
  const { storage } = host;
  const isWhole = new RegExp(`^${ANONYMOUS}\\w{${ANONYMOUS_LENGTH}}$`);
  const kept = storage.get(KEY);
  if (kept !== null && isWhole.test(kept)) return kept;
  const character = () => CHARACTERS.charAt(Math.floor(host.random() * CHARACTERS.length));
  storage.set(KEY, ANONYMOUS + Array.from({ length: ANONYMOUS_LENGTH }, character).join(""));
  // Another tab may have set another at the same time; what is kept now is what both use.
  return storage.get(KEY) ?? "";
}

/**
 * The id under which somebody was here before they signed in, for the first who signs in with it; `mine` only, if it is
 * given. Whoever is anonymous on
 * this device afterwards is somebody else.
 */
export function takeAnonymousId({ storage }: Host, mine?: string): string {
  const kept = storage.get(KEY) ?? "";
  // Somebody has signed in in another tab, and another is anonymous now.
  if (mine !== undefined && kept !== mine) return "";
  storage.remove(KEY);
  return kept;
}

/** Everything that was named but the id. */
export function fieldsOf(named: Named | null | undefined): Fields {
  if (typeof named !== "object" || named === null) return {};
  const { id, ...fields } = named;
  return fields;
}
