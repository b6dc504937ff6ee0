import type { Present } from "./guides.js";
import type { Answer, Host, Storage } from "./host.js";
import { ANSWER_MS } from "./limits.js";

/** The browser that the script runs in. `presenter` loads what shows guides. */
export function browser(window: Window & typeof globalThis, presenter: () => Promise<Present>): Host {
  const { document, navigator } = window;
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    uniqueId: () => uniqueId(window),
    later(ms, run) {
      const timer = window.setTimeout(run, ms);
      return () => { window.clearTimeout(timer); };
    },
    post: (url, body) => post(window, url, body),
    presenter,
    beacon: (url, body) => typeof navigator.sendBeacon === "function" && navigator.sendBeacon(url, body),
    storage: storage(window),
    onHide(run) {
      document.addEventListener("visibilitychange", () => {
        if (document.visibilityState === "hidden") run();
      });
      // Safari does not make a page hidden that is left.
      window.addEventListener("pagehide", run);
    },
    onReturn(run) {
      document.addEventListener("visibilitychange", () => {
        if (document.visibilityState === "visible") run();
      });
      window.addEventListener("pageshow", (event) => {
        if (event.persisted) run();
      });
      window.addEventListener("online", run);
    },
    page: () => (/^https?:$/.test(window.location.protocol) ? window.location.origin + window.location.pathname : ""),
    asksNotToBeTracked: () =>
      navigator.doNotTrack === "1" || (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl === true,
    say: (words, about) => { window.console.debug(`fanfare: ${words}`, ...(about === undefined ? [] : [about])); },
  };
}

function uniqueId(window: Window & typeof globalThis): string {
  const bytes = window.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * As text/plain, with the key in the address, so that no browser asks for permission first (a "simple request"): that
 * would double the requests. Without cookies, and going on when the page is left.
 */
async function post(window: Window & typeof globalThis, url: string, body: string): Promise<Answer> {
  const late = new AbortController();
  const timer = window.setTimeout(() => { late.abort(); }, ANSWER_MS);
  try {
    const headers = { "content-type": "text/plain;charset=UTF-8" };
    const response = await window.fetch(url, {
      method: "POST",
      body,
      headers,
      keepalive: true,
      credentials: "omit",
      mode: "cors",
      cache: "no-store",
      signal: late.signal,
    });
    const answer: unknown = response.ok ? await response.json().catch(() => null) : null;
    const { rejected, guides, doNotTrack } = (answer ?? {}) as { rejected?: unknown; guides?: unknown; doNotTrack?: unknown };
    return {
      status: response.status,
      retryAfterMs: retryAfterMs(response.headers.get("retry-after")),
      rejected: Array.isArray(rejected) ? rejected : [],
      guides: Array.isArray(guides) ? guides : [],
      doNotTrack: doNotTrack === true,
    };
  } finally {
    window.clearTimeout(timer);
  }
}

/** Seconds, or a date. */
function retryAfterMs(header: string | null): number {
  if (header === null) return 0;
  const seconds = Number(header);
  const ms = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1_000;
  return ms > 0 ? ms : 0;
}

/** The page's local storage; where there is none, or it refuses, what is set is known as long as the page is there. */
function storage(window: Window): Storage {
  const instead = new Map<string, string>();
  const kept = <T>(use: (storage: globalThis.Storage) => T, otherwise: T): T => {
    try {
      return use(window.localStorage);
    } catch {
      return otherwise;
    }
  };
  return {
    get: (key) => instead.get(key) ?? kept((storage) => storage.getItem(key), null),
    set(key, value) {
      const isKept = kept((storage) => {
        storage.setItem(key, value);
        return true;
      }, false);
      if (isKept) instead.delete(key);
      else instead.set(key, value);
      return isKept;
    },
    remove(key) {
      instead.delete(key);
      kept((storage) => { storage.removeItem(key); }, undefined);
    },
    keys: () => kept((storage) => Array.from({ length: storage.length }, (_, at) => storage.key(at) ?? ""), []),
  };
}
