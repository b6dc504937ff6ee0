import { expect, test } from "vitest";
import { BATCH_BYTES, BATCH_ITEMS, GATHER_MS, ITEM_BYTES, LONGEST_PAUSE_MS, WAITING_ITEMS, WAITING_MS } from "../src/limits";
import { size } from "../src/outbox";
import { pauseMs } from "../src/sender";
import { START, World } from "./world";

const ADA = { visitor: { id: "ada" } };

test("what happens within a moment goes as one batch, with the agent's version and the page", async () => {
  const world = new World();
  const page = world.page(ADA);
  page.agent.track("Invoice Paid", { amount: 129, nested: { a: [1, null, "ü"] } });
  await world.pass(GATHER_MS - 1);
  expect(world.batches).toEqual([]);
  await world.pass(1);
  expect(world.batches.map(({ by, url, items }) => [by, url, items.length])).toEqual([
    ["fetch", "https://f.test/data/events?key=k", 2],
  ]);
  expect(world.items[1]).toEqual({
    id: expect.any(String) as string,
    type: "track",
    visitorId: "ada",
    url: "https://app.test/orders",
    browserTime: START,
    name: "Invoice Paid",
    properties: { amount: 129, nested: { a: [1, null, "ü"] } },
  });
  expect(world.storage.size).toBe(0);
  await world.pass(3_600_000);
  expect(world.batches).toHaveLength(1);
});

test("what failed is sent again later each time, and counts once", async () => {
  const world = new World();
  const times: number[] = [];
  world.answering = () => {
    times.push(world.now);
    return times.length <= 6 ? (times.length % 2 ? "nothing" : { status: 503 }) : { status: 200 };
  };
  world.page(ADA);
  await world.pass(600_000);
  const pauses = times.slice(1).map((at, index) => at - (times[index] ?? 0));
  expect(pauses).toHaveLength(6);
  pauses.forEach((pause, index) => {
    expect(pause).toBeGreaterThanOrEqual(500 * 2 ** index);
    expect(pause).toBeLessThanOrEqual(1_000 * 2 ** index);
  });
  expect([world.items.length, world.storage.size]).toEqual([1, 0]);
});

test("pauses have a bound, and differ from page to page", () => {
  expect([pauseMs(1, 0), pauseMs(1, 1), pauseMs(60, 1), pauseMs(60, 0)]).toEqual([500, 1_000, LONGEST_PAUSE_MS, LONGEST_PAUSE_MS / 2]);
});

test("a rest that the server asks for is kept, also when the page is shown again", async () => {
  const world = new World();
  world.answering = () => ({ status: 503, retryAfterMs: 60_000 });
  const page = world.page(ADA);
  await world.pass(GATHER_MS);
  page.show();
  await world.pass(59_000);
  expect(world.batches).toHaveLength(1);
  await world.pass(2_000);
  expect(world.batches).toHaveLength(2);
});

test("a wrong key is tried again rarely, and nothing is lost when it is put right", async () => {
  const world = new World();
  world.answering = () => ({ status: 401 });
  const { agent } = world.page(ADA);
  agent.track("x");
  await world.pass(LONGEST_PAUSE_MS * 3);
  expect(world.batches).toHaveLength(3);
  world.answering = () => ({ status: 200 });
  await world.pass(LONGEST_PAUSE_MS);
  expect(world.tracked).toEqual(["x by ada for none"]);
});

test("one item that the server cannot take does not take the others with it", async () => {
  const world = new World();
  world.answering = (items) => ({ status: items.some(({ name }) => name === "bad") ? 400 : 200 });
  const { agent } = world.page(ADA);
  for (const name of ["a", "b", "bad", "c", "d"]) agent.track(name);
  await world.pass(10_000);
  expect(world.tracked.map((text) => text.charAt(0))).toEqual(["a", "b", "c", "d"]);
  expect(world.storage.size).toBe(0);
});

test("a server that refuses everything is not asked as fast as the network allows", async () => {
  const world = new World();
  world.answering = () => ({ status: 400 });
  const { agent } = world.page(ADA);
  for (let n = 0; n < 50; n += 1) agent.track(`event ${n}`);
  await world.pass(10_000);
  expect(world.batches.length).toBeLessThan(40);
});

test("batches have bounds of items and bytes", async () => {
  const world = new World();
  const { agent } = world.page(ADA);
  for (let n = 0; n < 250; n += 1) agent.track(`event ${n}`);
  const text = "ü".repeat(5_000);
  for (let n = 0; n < 20; n += 1) agent.track(`large ${n}`, { text });
  await world.pass(10_000);
  expect(world.items).toHaveLength(271);
  for (const { items } of world.batches) {
    expect(items.length).toBeLessThanOrEqual(BATCH_ITEMS);
    expect(new TextEncoder().encode(JSON.stringify(items)).length).toBeLessThan(BATCH_BYTES + 1_000);
  }
});

test("an item that is too large is not taken, and does no harm", async () => {
  const world = new World();
  const { agent } = world.page(ADA);
  agent.track("large", { text: "x".repeat(ITEM_BYTES) });
  agent.track("small");
  await world.pass(5_000);
  expect(world.tracked).toEqual(["small by ada for none"]);
});

test("what waits has a bound: the oldest go, by number and by age", async () => {
  const world = new World();
  world.answering = () => "nothing";
  const page = world.page(ADA);
  await world.pass(5_000);
  for (let n = 0; n < WAITING_ITEMS + 10; n += 1) page.agent.track(`event ${n}`);
  expect([...world.storage.keys()].filter((key) => key.startsWith("fanfare.item.k."))).toHaveLength(WAITING_ITEMS);
  await world.pass(WAITING_MS);
  page.agent.track("the last");
  await world.pass(1);
  world.answering = () => ({ status: 200 });
  await page.agent.flushNow();
  expect(world.tracked).toEqual(["the last by ada for none"]);
});

test("a page that is left hands over what waits, and what is handed over twice counts once", async () => {
  const world = new World();
  const page = world.page(ADA);
  page.agent.track("last words");
  page.leave();
  expect(world.batches.map(({ by }) => by)).toEqual(["beacon"]);
  expect(world.tracked).toEqual(["last words by ada for none"]);
  world.page(ADA);
  await world.pass(40_000);
  const sent = world.batches.flatMap(({ items }) => items).filter(({ name }) => name === "last words");
  expect(sent.length).toBe(2);
  expect([world.tracked.length, world.storage.size]).toEqual([1, 0]);
});

test("a beacon that does not arrive loses nothing, nor does a crash", async () => {
  const world = new World();
  world.answering = () => "nothing";
  const left = world.page(ADA);
  left.agent.track("left");
  left.leave();
  const crashed = world.page(ADA);
  crashed.agent.track("crashed");
  crashed.crash();
  world.answering = () => ({ status: 200 });
  await world.pass(60_000);
  world.page(ADA);
  await world.pass(60_000);
  expect(world.tracked.sort()).toEqual(["crashed by ada for none", "left by ada for none"]);
  expect(world.storage.size).toBe(0);
});

test("hidden twice, a page hands over once; shown again, it makes sure", async () => {
  const world = new World();
  const page = world.page(ADA);
  page.agent.track("x");
  page.hide();
  page.hide();
  expect(world.batches).toHaveLength(1);
  page.show();
  await world.pass(10);
  expect(world.batches.map(({ by }) => by)).toEqual(["beacon", "fetch"]);
  expect([world.tracked.length, world.storage.size]).toEqual([1, 0]);
});

test("shown between, a page hands over again what is not known to have arrived", async () => {
  const world = new World();
  world.answering = () => "nothing";
  const page = world.page(ADA);
  page.hide();
  page.show();
  await world.pass(10);
  page.hide();
  expect(world.batches.map(({ by }) => by)).toEqual(["beacon", "fetch", "beacon"]);
});

test("looking for what others have left, a page does not find its own", async () => {
  const world = new World();
  world.answering = () => "nothing";
  const page = world.page(ADA);
  await world.pass(60_000);
  world.answering = () => ({ status: 200 });
  page.show();
  await world.pass(10);
  expect(world.batches.at(-1)?.items).toHaveLength(1);
});

test("where the browser takes no beacon, a request goes instead", async () => {
  const world = new World();
  world.beacons = "refused";
  const page = world.page(ADA);
  page.agent.track("x");
  page.hide();
  await world.pass(1);
  expect(world.batches.map(({ by }) => by)).toEqual(["fetch"]);
  expect(world.tracked).toHaveLength(1);
});

test("a page that is left while a batch is under way does not hand that over as well", async () => {
  const world = new World();
  world.answering = () => "never";
  const page = world.page(ADA);
  await world.pass(GATHER_MS);
  page.agent.track("later");
  page.leave();
  expect(world.batches.map(({ by, items }) => [by, items.length])).toEqual([["fetch", 1], ["beacon", 1]]);
});

test("without a storage everything is sent all the same", async () => {
  const world = new World();
  world.storageWorks = false;
  const { agent } = world.page(ADA);
  agent.track("x");
  await world.pass(5_000);
  expect(world.tracked).toEqual(["x by ada for none"]);
});

test("what cannot be read in the storage is taken out of it; keys of other apps are left alone", async () => {
  const world = new World();
  world.storage.set("fanfare.item.k.1", "nonsense");
  world.storage.set("fanfare.item.other.1", `${START} {}`);
  world.storage.set("mine", "x");
  world.page(ADA);
  await world.pass(60_000);
  expect([...world.storage.keys()].sort()).toEqual(["fanfare.item.other.1", "mine"]);
});

test("flushNow is done when everything is there, or has failed", async () => {
  const world = new World();
  const { agent } = world.page(ADA);
  agent.track("x");
  await agent.flushNow();
  expect(world.tracked).toHaveLength(1);
  world.answering = () => "nothing";
  agent.track("y");
  await agent.flushNow();
  expect(world.tracked).toHaveLength(1);
  world.answering = () => ({ status: 200 });
  await world.pass(2_000);
  expect(world.tracked).toHaveLength(2);
});

test("sizes are bytes", () => {
  for (const json of ["abc", "grün", "日本", "👍🏽"]) expect(size(json)).toBeGreaterThanOrEqual(new TextEncoder().encode(json).length);
});
