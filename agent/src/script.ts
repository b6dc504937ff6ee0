/** The agent as a script: takes over from the snippet that has loaded it (docs/agent.md). */
import { create, type Fanfare } from "./agent.js";
import { browser } from "./browser.js";

/** What the snippet leaves: calls in the order in which they were made, those of `events` as "events.on". */
type Queued = [name: string, values: unknown[]];
interface Place extends Partial<Fanfare> {
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
  const agent = create(browser(window), {
    key: script?.dataset.key,
    // Its own address without what is behind the server's: /agent/fanfare.js.
    server: script?.src.replace(/\/agent\/[^/]*$/, ""),
  });
  const calls: Record<string, Call | undefined> = { ...agent, ...prefixed(agent.events) } as never;
  const push = (...queued: Queued[]) => { for (const [name, values] of queued) calls[name]?.(...values); };
  // The object stays the same, and so do the snippet's functions where somebody holds on to them: what they queue is done.
  Object.assign(place, agent, { _q: { push } });
  push(...waiting);
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
