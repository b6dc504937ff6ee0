import type { Present } from "./guides.js";

/** What the agent needs of the world: everything that a test puts something else in place of. */
export interface Host {
  /** Unix time in milliseconds. */
  now(): number;
  /** A number from 0 to below 1. */
  random(): number;
  /** An id that nobody else has. */
  uniqueId(): string;
  /** Runs something once, so many milliseconds from now. Answers with what calls that off. */
  later(ms: number, run: () => void): () => void;
  /** Sends a body; rejects when there is no answer. */
  post(url: string, body: string): Promise<Answer>;
  /** What shows guides in the page; loads it. Rejects when it cannot be loaded. */
  presenter(): Promise<Present>;
  /** Hands a body to the browser to be sent although the page is left. Whether the browser takes it. */
  beacon(url: string, body: string): boolean;
  storage: Storage;
  /** Calls when the page is hidden or left, */
  onHide(run: () => void): void;
  /** when it is shown again, or there is a network again. */
  onReturn(run: () => void): void;
  /** The page's address without query and fragment, which may hold what is nobody's business; "" when there is none. */
  page(): string;
  /** Whether the browser is set to say that its user does not want to be tracked. */
  asksNotToBeTracked(): boolean;
  /** Says something to whoever debugs the page. */
  say(words: string, about?: unknown): void;
}

export interface Answer {
  status: number;
  /** How long the server asks to be left alone, in milliseconds. */
  retryAfterMs: number;
  /** The items that it rejected, and why. */
  rejected: unknown[];
  /** The guides that may be shown, where it was asked for them. */
  guides: unknown[];
  /** The app lets those alone who ask not to be tracked, and this browser does. */
  doNotTrack: boolean;
}

/** Texts that outlive the page. None of it ever throws. */
export interface Storage {
  get(key: string): string | null;
  /** Whether it was kept. */
  set(key: string, value: string): boolean;
  remove(key: string): void;
  keys(): string[];
}

/** Says that something has failed that should not have. */
export function complain(host: Host | null, error: unknown): void {
  try {
    host?.say("a call has failed", error);
  } catch {
    // There is nobody left to tell.
  }
}
