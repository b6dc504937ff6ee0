import { expect, test } from "vitest";
import manifest from "../package.json" with { type: "json" };
import { create, type Fanfare } from "../src/agent";
import { World } from "./world";

test("its version is one whose polls are pushed", () => {
  const { agent } = new World().page();
  expect(agent.getVersion()).toBe(manifest.version);
  const [major = 0, minor = 0] = manifest.version.split(".").map(Number);
  expect(major > 2 || (major === 2 && minor >= 33)).toBe(true);
});

test("before initialize nobody is known, and what is tracked waits for who it is", async () => {
  const world = new World();
  const { agent } = world.page(null);
  const properties = { step: 1 };
  agent.track("early", properties);
  properties.step = 2;
  agent.identify("nobody yet");
  expect([agent.isReady(), agent.getVisitorId(), agent.getAccountId()]).toEqual([false, "", ""]);
  await world.pass(500);
  agent.initialize({ visitor: { id: "ada" }, account: { id: "acme" } });
  expect([agent.isReady(), agent.getVisitorId(), agent.getAccountId()]).toEqual([true, "ada", "acme"]);
  await world.pass(5_000);
  const [identified, early] = ["identify", "track"].map((type) => world.items.find((item) => item.type === type));
  expect(identified).toMatchObject({ type: "identify", visitorId: "ada" });
  expect(early).toMatchObject({ name: "early", visitorId: "ada", accountId: "acme", properties: { step: 1 } });
  expect(early?.browserTime).toBe((identified?.browserTime ?? 0) - 500);
});

test("early events have a bound", async () => {
  const world = new World();
  const { agent } = world.page(null);
  for (let n = 0; n < 500; n += 1) agent.track(`event ${n}`);
  agent.initialize({ visitor: { id: "ada" } });
  await world.pass(5_000);
  expect(world.tracked).toHaveLength(100);
});

test("ready is told once: to those who asked before, in their order, and to those who ask after", () => {
  const world = new World();
  const { agent } = world.page(null);
  const heard: string[] = [];
  const gone = () => heard.push("gone");
  agent.events.on("ready", () => heard.push(`on ${agent.getVisitorId()}`));
  agent.events.on("ready", gone);
  agent.events.on("ready", () => { throw new Error("a listener's own mistake"); });
  agent.events.on("ready", () => heard.push("last"));
  agent.events.off("ready", gone);
  agent.initialize({ visitor: { id: "ada" }, events: { ready: () => heard.push("option") } });
  agent.initialize({ visitor: { id: "grace" }, events: { ready: () => heard.push("again") } });
  agent.events.on("ready", () => heard.push("after"));
  expect(heard).toEqual(["option", "on ada", "last", "after"]);
});

test("nothing is sent without a key and a server, and that is said", async () => {
  const world = new World();
  const { agent } = world.page({ visitor: { id: "ada" } }, {});
  agent.track("x");
  await world.pass(5_000);
  expect([agent.isReady(), world.batches, world.said.length > 0]).toEqual([false, [], true]);
  agent.initialize({ visitor: { id: "ada" }, key: "a key", server: "https://f.test/below/" });
  await agent.flushNow();
  expect(world.batches[0]?.url).toBe("https://f.test/below/data/events?key=a%20key");
});

test("no call throws, whatever it is given and whatever breaks", async () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const hostile = { get visitor(): never { throw new Error("no"); }, toJSON(): never { throw new Error("no"); } };
  const odd = [undefined, null, 0, "", "x", [], {}, circular, hostile, 10n, Symbol("s"), () => undefined, { visitor: 5, account: [] }, { visitor: { id: "v", x: circular } }];
  const world = new World();
  const agents = [world.page(null).agent, world.page({ visitor: { id: "ada" } }).agent, create(null)];
  const broken = create(new Proxy({}, { get: () => () => { throw new Error("broken"); } }) as never, { key: "k", server: "s" });
  for (const agent of [...agents, broken]) {
    const calls = { ...agent, on: agent.events.on, off: agent.events.off } as unknown as Record<string, (...values: unknown[]) => unknown>;
    for (const [name, call] of Object.entries(calls).filter(([, call]) => typeof call === "function")) {
      for (const first of odd) for (const second of odd) expect(() => call(first, second), name).not.toThrow();
    }
  }
  await world.pass(10_000);
});

test("where there is no page, calls do nothing", async () => {
  const agent: Fanfare = (await import("../src/index")).fanfare;
  agent.initialize({ visitor: { id: "ada" }, key: "k", server: "https://f.test" });
  await agent.flushNow();
  expect([agent.isReady(), agent.getVisitorId()]).toEqual([false, ""]);
});
