import type { Host } from "./host.js";
import { ASK_AGAIN_MS } from "./limits.js";
import { pauseMs } from "./sender.js";
import type { Fields, Who } from "./who.js";

/** A guide that may be shown to whoever is here, as the server tells of it. */
export interface Guide {
  id: string;
  name: string;
  layout: "modal" | "banner" | "tooltip";
  /** On which pages; empty: on all. */
  pages: string[];
  steps: Step[];
}

export interface Step {
  id: string;
  /** Markdown. */
  text: string;
  /** What a tooltip points at. */
  element: string | null;
  polls: Poll[];
}

export interface Poll {
  id: string;
  type: "NumberScale" | "PositiveNegative" | "FreeForm" | "PickList" | "NPSRating" | "NPSReason";
  question: string;
  choices?: { id: string; text: string }[];
}

/** What a guide says by itself. */
export interface Labels {
  close: string;
  later: string;
  next: string;
  done: string;
  send: string;
  skip: string;
  yes: string;
  no: string;
  /** What the ends of the NPS scale mean. */
  unlikely: string;
  likely: string;
}

/** What a presentation needs of the agent. */
export interface Stage {
  host: Host;
  labels: Partial<Labels>;
  /** Tells the server what was seen or done, and whoever listens, under `event`. */
  report: (type: string, fields: Fields, event?: "guideSeen" | "pollResponse") => void;
}

/** Guides in the page. */
export interface Presentation {
  /** These may be shown now. One that is shown and not among them goes away. */
  update(guides: Guide[]): void;
  /** Takes away what is shown. */
  close(): void;
}

export type Present = (stage: Stage) => Presentation;

/** What guides need of the agent. */
export interface Backstage {
  /** Done when what decides which guides are to be shown is on its way, or cannot be sent. */
  settled: () => Promise<void>;
  report: (who: Who, type: string, fields: Fields, event?: string) => void;
  happened: (event: string, detail: Fields) => void;
  /** The server says that this browser is to be let alone. */
  declined: () => void;
}

/** Asks which guides to show, and has them shown: with code that is loaded only when there is one. */
export class Guides {
  private who: Who | null = null;
  /** Counts who was here and how often it was asked for them: what comes late for somebody else is not shown. */
  private turn = 0;
  private askedAt = 0;
  private failures = 0;
  private presentation: Presentation | null = null;

  constructor(
    private readonly host: Host,
    private readonly url: string,
    private readonly version: string,
    private readonly labels: Partial<Labels>,
    private readonly backstage: Backstage,
  ) {}

  /** Somebody is here, or more is known of them. */
  show(who: Who): void {
    if (this.who?.visitorId !== who.visitorId || this.who.accountId !== who.accountId) this.stop();
    this.who = who;
    // Several calls in a row are one.
    this.askIn(0);
  }

  /** The page is shown again: meanwhile another tab may have shown a guide. */
  again(): void {
    if (this.who !== null && this.host.now() - this.askedAt >= ASK_AGAIN_MS) this.askIn(0);
  }

  stop(): void {
    this.who = null;
    this.turn += 1;
    this.presentation?.close();
    this.presentation = null;
  }

  private askIn(ms: number): void {
    const turn = (this.turn += 1);
    this.host.later(ms, () => {
      this.ask(turn).catch((error: unknown) => { this.host.say("guides cannot be shown", error); });
    });
  }

  private async ask(turn: number): Promise<void> {
    await this.backstage.settled();
    const { who } = this;
    if (who === null || turn !== this.turn) return;
    this.askedAt = this.host.now();
    const body = JSON.stringify({ agentVersion: this.version, ...who });
    const answer = await this.host.post(this.url, body).catch(() => null);
    if (turn !== this.turn) return;
    if (answer?.doNotTrack === true) {
      this.backstage.declined();
    } else if (answer?.status === 200) {
      this.failures = 0;
      await this.present(answer.guides as Guide[], who, turn);
    } else if (answer === null || answer.status === 429 || answer.status >= 500) {
      this.failures += 1;
      this.askIn(Math.max(pauseMs(this.failures, this.host.random()), answer?.retryAfterMs ?? 0));
    }
  }

  private async present(guides: Guide[], who: Who, turn: number): Promise<void> {
    this.backstage.happened("guidesLoaded", { guideIds: guides.map(({ id }) => id) });
    if (this.presentation === null && guides.length > 0) {
      const present = await this.host.presenter();
      if (turn !== this.turn) return;
      const { host, labels } = this;
      const report: Stage["report"] = (type, fields, event) => { this.backstage.report(who, type, fields, event); };
      this.presentation = present({ host, labels, report });
    }
    this.presentation?.update(guides);
  }
}
