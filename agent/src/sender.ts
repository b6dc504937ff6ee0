import { type Answer, complain, type Host } from "./host.js";
import { BATCH_ITEMS, GATHER_MS, LONGEST_PAUSE_MS, PAUSE_MS } from "./limits.js";
import type { Outbox, Waiting } from "./outbox.js";

/** What becomes of a batch. */
type Verdict = "taken" | "split" | "again" | "much later";

/** What an answer means. */
export function judge(status: number): Verdict {
  if (status >= 200 && status < 300) return "taken";
  // One item of it may be what cannot be read, or is too large.
  if (status === 400 || status === 413 || status === 415 || status === 422) return "split";
  if (status === 408 || status === 425 || status === 429 || status >= 500) return "again";
  // A wrong key, an origin that the app does not list, a wrong address: somebody has to change something.
  return "much later";
}

/** How long to wait after so many failures in a row: longer each time, and each page at another time. */
export function pauseMs(failures: number, random: number): number {
  const longest = Math.min(PAUSE_MS * 2 ** Math.min(failures - 1, 20), LONGEST_PAUSE_MS);
  return longest / 2 + (longest / 2) * random;
}

/** Sends what waits: in batches, one after the other, until the server has each item. */
export class Sender {
  private sending: Promise<void> | null = null;
  private readonly underWay = new Set<string>();
  private callOff: (() => void) | null = null;
  private isPausing = false;
  private readonly handed = new Set<string>();
  private failures = 0;
  private restsUntil = 0;
  private most = BATCH_ITEMS;

  constructor(
    private readonly host: Host,
    private readonly outbox: Outbox,
    private readonly url: string,
    private readonly version: string,
    /** Called when the server says that this browser is to be let alone. */
    private readonly onDoNotTrack: () => void,
  ) {}

  /** Sends in a moment, with what else comes until then. After a failure that is when its pause is over. */
  soon(): void {
    if (this.isPausing || this.sending !== null) return;
    if (this.outbox.length >= this.most) void this.now();
    else if (this.callOff === null) this.wait(GATHER_MS);
  }

  /** Sends at once; done when everything was sent, or when that has failed. */
  now(): Promise<void> {
    this.stopWaiting();
    this.sending ??= this.run()
      .catch((error: unknown) => { complain(this.host, error); })
      .then(() => {
        this.sending = null;
        // What was added at the very end.
        if (this.outbox.length > 0) this.soon();
      });
    return this.sending;
  }

  /** The page is shown again, or there is a network again: a good moment, unless the server has asked for a rest. */
  again(): void {
    this.handed.clear();
    this.outbox.adopt();
    if (this.outbox.length > 0 && this.host.now() >= this.restsUntil) void this.now();
  }

  /**
   * The page is hidden and may never come back: the browser is handed what waits. It does not say whether that arrives, so
   * all of it is kept, and sent again by this page or the next.
   */
  hide(): void {
    for (;;) {
      const batch = this.outbox.batch(this.most, new Set([...this.handed, ...this.underWay]));
      if (batch.length === 0) return;
      if (!this.host.beacon(this.url, this.body(batch))) break;
      for (const { id } of batch) this.handed.add(id);
    }
    // The browser takes no more, or has no such thing: a request that outlives the page is the next best.
    void this.now();
  }

  private async run(): Promise<void> {
    for (;;) {
      const batch = this.outbox.batch(this.most);
      if (batch.length === 0) return;
      if (!(await this.send(batch))) return;
    }
  }

  /** Whether to go on. */
  private async send(batch: Waiting[]): Promise<boolean> {
    for (const { id } of batch) this.underWay.add(id);
    const answer = await this.host.post(this.url, this.body(batch)).catch(noAnswer);
    this.underWay.clear();
    switch (judge(answer.status)) {
      case "taken":
        if (answer.rejected.length > 0) this.host.say("items were rejected", answer.rejected);
        this.outbox.remove(batch);
        this.failures = 0;
        this.most = Math.min(this.most * 2, BATCH_ITEMS);
        if (answer.doNotTrack) this.onDoNotTrack();
        return !answer.doNotTrack;
      case "split":
        this.host.say(`a batch was refused with status ${answer.status}`);
        if (batch.length > 1) {
          this.most = Math.ceil(batch.length / 2);
          return true;
        }
        // It is this one. When it is all of them, they do not go as fast as the network allows.
        this.outbox.remove(batch);
        this.pause(GATHER_MS);
        return false;
      case "again":
        this.failures += 1;
        this.rest(Math.min(answer.retryAfterMs, LONGEST_PAUSE_MS));
        return false;
      case "much later":
        this.host.say(`nothing is taken: status ${answer.status}`);
        this.failures += 1;
        this.pause(LONGEST_PAUSE_MS);
        return false;
    }
  }

  /** Waits for its own pause, and at least as long as the server asks for. */
  private rest(ms: number): void {
    this.restsUntil = this.host.now() + ms;
    this.pause(Math.max(pauseMs(this.failures, this.host.random()), ms));
  }

  private pause(ms: number): void {
    this.wait(ms);
    this.isPausing = true;
  }

  private wait(ms: number): void {
    this.stopWaiting();
    this.callOff = this.host.later(ms, () => void this.now());
  }

  private stopWaiting(): void {
    this.callOff?.();
    this.callOff = null;
    this.isPausing = false;
  }

  private body(batch: Waiting[]): string {
    return `{"agentVersion":${JSON.stringify(this.version)},"sentAt":${this.host.now()},"events":[${batch.map(({ json }) => json).join(",")}]}`;
  }
}

/** Like an answer that says: try again. */
function noAnswer(): Answer {
  return { status: 503, retryAfterMs: 0, rejected: [], guides: [], doNotTrack: false };
}
