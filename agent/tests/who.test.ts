import { expect, test } from "vitest";
import { World } from "./world";

const ANONYMOUS = /^_PENDO_T_[A-Za-z0-9]{11}$/;

test("an id that is none makes an anonymous visitor, the same on every page", async () => {
  const world = new World();
  const ids = ["", " \t", "null", "undefined", "VISITOR-UNIQUE-ID", null, undefined, {}, true, NaN];
  const found = ids.map((id) => world.page({ visitor: { id: id as string } }).agent.getVisitorId());
  expect(new Set(found).size).toBe(1);
  expect(found[0]).toMatch(ANONYMOUS);
  expect(world.page({}).agent.getVisitorId()).toBe(found[0]);
  await world.pass(5_000);
  expect(world.items).toEqual([]);
});

test("what was damaged in the storage is no visitor", () => {
  const world = new World();
  world.storage.set("fanfare.anonymous", "jane@example.com");
  expect(world.page().agent.getVisitorId()).toMatch(ANONYMOUS);
});

test("numbers are ids, as text", async () => {
  const world = new World();
  const { agent } = world.page({ visitor: { id: 7 }, account: { id: 0 } });
  expect([agent.getVisitorId(), agent.getAccountId()]).toEqual(["7", "0"]);
  await world.pass(5_000);
  expect(world.items).toMatchObject([{ type: "identify", visitorId: "7", accountId: "0" }]);
});

test("an identify tells who it was before, once, and only what is theirs", async () => {
  const world = new World();
  const first = world.page();
  const second = world.page();
  const was = first.agent.getVisitorId();
  first.agent.track("looked around");
  first.agent.identify({ visitor: { id: "ada", plan: "pro" }, account: { id: "acme", seats: 5 } });
  first.agent.track("signed in");
  // Another person signs in in the other tab, which has not been loaded again since.
  second.agent.identify("grace", "navy");
  await world.pass(5_000);
  const identified = world.items.filter(({ type }) => type === "identify");
  expect(identified).toMatchObject([
    { visitorId: "ada", accountId: "acme", visitor: { plan: "pro" }, account: { seats: 5 }, anonymousId: was },
    { visitorId: "grace", accountId: "navy" },
  ]);
  expect(identified[1]).not.toHaveProperty("anonymousId");
  expect(world.tracked).toEqual([`looked around by ${was} for none`, "signed in by ada for acme"]);
  expect(world.page().agent.getVisitorId()).not.toBe(was);
});

test("who signs in takes no other's anonymous time with them", async () => {
  const world = new World();
  const [first, second] = [world.page(), world.page()];
  first.agent.identify("ada");
  const other = world.page();
  second.agent.identify("grace");
  const again = world.page();
  expect(again.agent.getVisitorId()).toBe(other.agent.getVisitorId());
  await world.pass(5_000);
  expect(world.items.find(({ visitorId }) => visitorId === "grace")).not.toHaveProperty("anonymousId");
});

test("a page that is loaded after signing in tells who it was before", async () => {
  const world = new World();
  const was = world.page().agent.getVisitorId();
  world.page({ visitor: { id: "ada" } });
  await world.pass(5_000);
  expect(world.items).toMatchObject([{ type: "identify", visitorId: "ada", anonymousId: was }]);
});

test("two visitors in a row on one device are kept apart, and their accounts", async () => {
  const world = new World();
  const { agent } = world.page({ visitor: { id: "ada", email: "ada@example.com" }, account: { id: "acme" } });
  agent.track("one");
  agent.identify("grace");
  agent.track("two");
  agent.identify(null);
  const between = agent.getVisitorId();
  agent.track("three");
  agent.identify({ visitor: { id: "ada" } });
  agent.track("four");
  await world.pass(5_000);
  expect(between).toMatch(ANONYMOUS);
  expect(world.tracked).toEqual([
    "one by ada for acme",
    "two by grace for none",
    `three by ${between} for none`,
    "four by ada for none",
  ]);
  const grace = world.items.find(({ visitorId, type }) => visitorId === "grace" && type === "identify");
  expect(grace).toMatchObject({ visitor: {}, account: {} });
});

test("a change of account holds from there on, and nothing is attributed to the one before", async () => {
  const world = new World();
  const { agent } = world.page({ visitor: { id: "ada" }, account: { id: "acme", plan: "pro" } });
  agent.track("before");
  agent.updateOptions({ account: { id: "zeta" } });
  agent.track("after");
  agent.identify({ visitor: { id: "ada" } });
  agent.track("still");
  await world.pass(5_000);
  expect(world.tracked).toEqual(["before by ada for acme", "after by ada for zeta", "still by ada for zeta"]);
  expect(world.items.filter(({ type }) => type === "identify")).toMatchObject([
    { accountId: "acme", account: { plan: "pro" } },
    { accountId: "zeta", account: {} },
  ]);
});

test("updateOptions adds; saying the same again sends nothing", async () => {
  const world = new World();
  const { agent } = world.page({ visitor: { id: "ada", plan: "free" }, account: { id: "acme" } });
  agent.updateOptions({ visitor: { role: "admin" }, account: { seats: 5 } });
  agent.updateOptions({ visitor: { role: "admin" } });
  agent.updateOptions({});
  agent.identify("ada", "acme");
  agent.initialize({ visitor: { id: "ada" } });
  await world.pass(5_000);
  expect(world.items).toMatchObject([
    { visitor: { plan: "free" }, account: {} },
    { visitor: { plan: "free", role: "admin" }, accountId: "acme", account: { seats: 5 } },
    { visitor: {}, accountId: "acme" },
  ]);
  expect(world.items).toHaveLength(3);
});

test("tabs with different visitors do not mix", async () => {
  const world = new World();
  const [ada, grace] = ["ada", "grace"].map((id) => world.page({ visitor: { id } }));
  ada?.agent.track("a");
  grace?.agent.track("b");
  ada?.agent.track("c");
  await world.pass(5_000);
  expect(world.tracked.sort()).toEqual(["a by ada for none", "b by grace for none", "c by ada for none"]);
});

test("who asks not to be tracked is left alone, if the server says so", async () => {
  const world = new World();
  world.answering = () => ({ status: 200, doNotTrack: true });
  const { agent } = world.page({ visitor: { id: "ada" } });
  agent.track("a");
  await world.pass(5_000);
  const sent = world.batches.length;
  expect([agent.isReady(), agent.getVisitorId(), world.storage.size]).toEqual([false, "", 0]);
  agent.track("b");
  agent.identify("grace");
  await agent.flushNow();
  await world.pass(600_000);
  expect(world.batches.length).toBe(sent);
  expect(world.storage.size).toBe(0);
});

test("who asks not to be tracked is left alone, if the application says so", async () => {
  const world = new World();
  world.answering = () => "nothing";
  const before = world.page({ visitor: { id: "ada" } });
  world.page().agent.track("kept for later");
  await world.pass(5_000);
  before.crash();
  expect(world.storage.size).toBeGreaterThan(1);
  world.answering = () => ({ status: 200 });
  world.doNotTrack = true;
  const { agent } = world.page({ visitor: { id: "ada" }, respectDoNotTrack: true });
  agent.track("x");
  agent.identify("grace");
  expect([agent.isReady(), agent.getVisitorId(), world.storage.size]).toEqual([false, "", 0]);
  const { agent: other } = world.page({ visitor: { id: "ada" } });
  expect(other.isReady()).toBe(true);
});
