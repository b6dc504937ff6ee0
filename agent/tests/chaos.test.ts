import { expect, test } from "vitest";
import { World, type Page } from "./world";

/** What a page's application knows of who is there, kept apart from the agent's own account of it. */
interface Tab {
  page: Page;
  visitor: string;
  account: string;
}

const VISITORS = ["ada", "grace", "", "jean"];
const ACCOUNTS = ["acme", "zeta", ""];

/** Numbers that are the same each time, for a seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

/** Plays a random day of several tabs, failing networks, closed and killed pages. Answers with who tracked what. */
async function play(world: World, next: (below: number) => number, steps: number): Promise<Map<string, string>> {
  const pick = (from: string[]) => from[next(from.length)] ?? "";
  const expected = new Map<string, string>();
  let tabs: Tab[] = [];
  for (let step = 0; step < steps; step += 1) {
    const tab = tabs[next(Math.max(tabs.length, 1))];
    const action = next(16);
    if (tab === undefined || (action === 0 && tabs.length < 4)) {
      const [visitor, account] = [pick(VISITORS), pick(ACCOUNTS)];
      tabs.push({ page: world.page({ visitor: { id: visitor }, account: { id: account } }), visitor, account });
    } else if (action < 7) {
      const name = `event ${step}`;
      tab.page.agent.track(name);
      expected.set(name, `${name} by ${tab.visitor === "" ? "anonymous" : tab.visitor} for ${tab.account === "" ? "none" : tab.account}`);
    } else if (action === 7) {
      const visitor = pick(VISITORS);
      // Who changes and names no account has none.
      if (visitor !== tab.visitor) [tab.visitor, tab.account] = [visitor, ""];
      tab.page.agent.identify(visitor);
    } else if (action === 8) {
      tab.account = pick(ACCOUNTS);
      tab.page.agent.updateOptions({ account: { id: tab.account } });
    } else if (action === 9) tab.page.hide();
    else if (action === 10) tab.page.show();
    else if (action === 11) {
      if (next(2) === 0) tab.page.leave();
      else tab.page.crash();
      tabs = tabs.filter((other) => other !== tab);
    } else if (action === 12) world.answering = () => "nothing";
    else if (action === 13) world.answering = () => ({ status: [200, 503, 429, 401][next(4)] ?? 200, retryAfterMs: next(3) * 1_000 });
    else if (action === 14) [world.answering, world.beacons] = [() => ({ status: 200 }), next(2) === 0 ? "taken" : "refused"];
    // An answer that is lost: the server has taken the batch all the same.
    else world.answering = (items) => {
      for (const item of items) if (!world.taken.has(item.id)) world.taken.set(item.id, item);
      return "nothing";
    };
    await world.pass(next(4) === 0 ? next(120_000) : next(3_000));
  }
  return expected;
}

test("whatever happens to pages and network, each event arrives, is of whoever did it, and counts once", async () => {
  for (let seed = 0; seed < 60; seed += 1) {
    const world = new World();
    const expected = await play(world, numbers(seed), 150);
    // A network again, and somebody who comes back.
    world.answering = () => ({ status: 200 });
    world.page({});
    await world.pass(3_600_000);
    const found = world.tracked.map((text) => text.replace(/_PENDO_T_\w+/, "anonymous"));
    expect(found.sort(), `seed ${seed}`).toEqual([...expected.values()].sort());
    expect([...world.storage.keys()].filter((key) => key.startsWith("fanfare.item.")), `seed ${seed}`).toEqual([]);
  }
}, 60_000);
