/** The agent as a script: takes over from the snippet that has loaded it (docs/agent.md). */
import { create, type Fanfare } from "./agent.js";
import { browser } from "./browser.js";
import type { Present } from "./guides.js";

/** What the snippet leaves: calls in the order in which they were made, those of `events` as "events.on". */
type Queued = [name: string, values: unknown[]];
interface Place extends Partial<Fanfare> {
  /** What shows guides, once it is loaded. */
  _present?: Present;
  _q?: Queued[] | { push: (...calls: Queued[]) => void };
}

type Call = (...values: unknown[]) => unknown;

function takeOver(): void {
  const page = window as unknown as { fanfare?: Place };
  const place = (page.fanfare ??= {});
  const waiting = place._q ?? [];
  // It is loaded already.
  if (!Array.isArray(waiting)) return;
  const script = document.currentScript as HTMLScriptElement | null;
  // Its own address without what is behind the server's: /agent/fanfare.js.
  const server = script?.src.replace(/\/agent\/[^/]*$/, "");
  const agent = create(browser(window, () => presenter(place, server, script?.nonce)), { key: script?.dataset.key, server });
  const calls: Record<string, Call | undefined> = { ...agent, ...prefixed(agent.events) } as never;
  const push = (...queued: Queued[]) => { for (const [name, values] of queued) calls[name]?.(...values); };
  // The object stays the same, and so do the snippet's functions where somebody holds on to them: what they queue is done.
  Object.assign(place, agent, { _q: { push } });
  push(...waiting);
}

/** An address as pages want it that let only trusted ones in (`trusted-types fanfare`). */
function trusted(address: string): string {
  interface Policies { createPolicy: (name: string, rules: { createScriptURL: (address: string) => string }) => { createScriptURL: (address: string) => string } }
  const { trustedTypes } = window as unknown as { trustedTypes?: Policies };
  return trustedTypes?.createPolicy("fanfare", { createScriptURL: (same) => same }).createScriptURL(address) ?? address;
}

/** Loads what shows guides, from beside this script and with its permission to run. */
function presenter(place: Place, server = "", nonce = ""): Promise<Present> {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const failed = () => { reject(new Error("guides.js cannot be loaded")); };
    script.src = trusted(`${server}/agent/guides.js`);
    if (nonce !== "") script.nonce = nonce;
    script.onerror = failed;
    script.onload = () => {
      if (place._present === undefined) failed();
      else resolve(place._present);
    };
    document.head.append(script);
  });
}

function prefixed(events: Fanfare["events"]): Record<string, unknown> {
  return { "events.on": events.on, "events.off": events.off };
}

try {
  takeOver();
} catch (error) {
  // Whatever is wrong here is no reason for the page to fail.
  console.debug("fanfare: the agent does not start", error);
}
