import type { Host } from "./host.js";
import { BATCH_BYTES, LEFT_BEHIND_MS, WAITING_BYTES, WAITING_ITEMS, WAITING_MS } from "./limits.js";

/** An item that waits to be sent. */
export interface Waiting {
  id: string;
  /** When it was added. */
  at: number;
  /** As it is sent. */
  json: string;
  /** About how many bytes that takes. */
  bytes: number;
}

/**
 * What waits to be sent, oldest first. Each item is kept in the page's storage under a key of its own until the server has
 * it: so adding one writes only that one, and tabs do not write over each other. Who finds an item of a page that is gone
 * sends it; that two may send the same one does no harm, because the server knows its id again.
 */
export class Outbox {
  private items: Waiting[] = [];
  private bytes = 0;
  private readonly prefix: string;

  constructor(
    private readonly host: Host,
    key: string,
  ) {
    this.prefix = `fanfare.item.${key}.`;
  }

  get length(): number {
    return this.items.length;
  }

  add(item: Waiting): void {
    this.push(item);
    this.host.storage.set(this.prefix + item.id, `${item.at} ${item.json}`);
    this.drop();
  }

  /** Takes over what pages have left behind that are no longer there. */
  adopt(): void {
    const known = new Set(this.items.map(({ id }) => id));
    const isLeft = ({ id, at }: Waiting) => !known.has(id) && at <= this.host.now() - LEFT_BEHIND_MS;
    for (const item of this.kept().filter(isLeft)) this.push(item);
    this.items.sort((a, b) => a.at - b.at);
    this.drop();
  }

  /** The oldest items, as many as a batch may have; at least one, if there is one. Those that are under way are left out. */
  batch(most: number, underWay: ReadonlySet<string> = new Set()): Waiting[] {
    this.drop();
    const batch: Waiting[] = [];
    let bytes = 0;
    for (const item of this.items) {
      if (underWay.has(item.id)) continue;
      bytes += item.bytes;
      if (batch.length >= most || (batch.length > 0 && bytes > BATCH_BYTES)) break;
      batch.push(item);
    }
    return batch;
  }

  remove(gone: readonly Waiting[]): void {
    const ids = new Set(gone.map(({ id }) => id));
    this.items = this.items.filter(({ id }) => !ids.has(id));
    this.bytes = this.items.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const id of ids) this.host.storage.remove(this.prefix + id);
  }

  /** Takes all of it away, whoever has left it. */
  forget(): void {
    for (const item of this.kept()) this.push(item);
    this.remove(this.items);
  }

  private push(item: Waiting): void {
    this.items.push(item);
    this.bytes += item.bytes;
  }

  /** What is too old goes, and then the oldest of what is too much. */
  private drop(): void {
    const oldest = this.host.now() - WAITING_MS;
    let bytes = this.bytes;
    let count = this.items.length;
    const gone = this.items.filter((item) => {
      const goes = item.at < oldest || count > WAITING_ITEMS || bytes > WAITING_BYTES;
      if (goes) {
        bytes -= item.bytes;
        count -= 1;
      }
      return goes;
    });
    if (gone.length > 0) this.remove(gone);
  }

  /** What is in the storage. What cannot be read is taken out of it. */
  private kept(): Waiting[] {
    const { storage } = this.host;
    return storage.keys().filter((key) => key.startsWith(this.prefix)).flatMap((key) => {
      const [, at, json] = /^(\d+) (\{.*\})$/s.exec(storage.get(key) ?? "") ?? [];
      if (at !== undefined && json !== undefined) return [{ id: key.slice(this.prefix.length), at: Number(at), json, bytes: size(json) }];
      storage.remove(key);
      return [];
    });
  }
}

/** About how many bytes it takes: characters outside ASCII take up to three. */
export function size(text: string): number {
  let more = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) more += code > 0x7ff ? 2 : 1;
  }
  return text.length + more;
}
