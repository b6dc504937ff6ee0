/** The event's name in a body, if it is one of Fanfare's. */
export function eventOf(body: string): string | undefined {
  try {
    const read: unknown = JSON.parse(body);
    const named = typeof read === "object" && read !== null && "event" in read ? read.event : undefined;
    return typeof named === "string" ? named : undefined;
  } catch {
    return undefined;
  }
}
