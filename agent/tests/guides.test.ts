import { expect, test } from "vitest";
import type { Guide } from "../src/guides";
import { World } from "./world";

function guide(id: string): Guide {
  return { id, name: id, layout: "modal", pages: [], steps: [{ id: "s", text: "", element: null, polls: [] }] };
}

test("whoever is here is asked for, with what is known of them, and shown what is theirs", async () => {
  const world = new World();
  world.guides = ({ visitorId }) => (visitorId === "ada" ? [guide("for ada")] : []);
  const loaded: unknown[] = [];
  const page = world.page({ visitor: { id: "ada", role: "admin" }, account: { id: "acme" }, events: { guidesLoaded: (detail) => loaded.push(detail) } });
  page.agent.updateOptions({ account: { plan: "pro" } });
  await world.pass(100);
  expect(world.asked).toMatchObject([{ visitorId: "ada", accountId: "acme", visitor: { role: "admin" }, account: { plan: "pro" } }]);
  expect([page.shown, loaded]).toEqual([["for ada"], [{ guideIds: ["for ada"] }]]);
  page.agent.identify("bob");
  expect(page.shown).toBeNull();
  await world.pass(100);
  expect([page.shown, world.asked.length]).toEqual([null, 2]);
});

test("what is late for somebody who is gone is not shown, and what they did stays theirs", async () => {
  const world = new World();
  world.guides = ({ visitorId }) => [guide(visitorId)];
  const page = world.page({ visitor: { id: "ada" } });
  page.agent.identify("bob");
  await world.pass(100);
  expect([page.shown, world.asked.map(({ visitorId }) => visitorId)]).toEqual([["bob"], ["bob"]]);
  const { stage } = page;
  page.agent.identify("eve");
  stage?.report("guideDismissed", { guideId: "bob", guideStepId: "s" });
  await world.pass(100);
  expect(world.items.find(({ type }) => type === "guideDismissed")).toMatchObject({ visitorId: "bob", guideId: "bob" });
});

test("what was done is sent at once, told to listeners, and known before it is asked again", async () => {
  const world = new World();
  world.guides = () => (world.items.some(({ type }) => type === "guideDismissed") ? [] : [guide("g")]);
  const seen: unknown[] = [];
  const page = world.page({ visitor: { id: "ada" } });
  page.agent.events.on("guideSeen", (detail) => seen.push(detail));
  await world.pass(100);
  page.stage?.report("guideSeen", { guideId: "g", guideStepId: "s" }, "guideSeen");
  page.stage?.report("guideDismissed", { guideId: "g", guideStepId: "s" });
  page.agent.updateOptions({ visitor: { more: 1 } });
  await world.pass(100);
  expect(seen).toEqual([{ guideId: "g", guideStepId: "s" }]);
  expect([page.shown, world.asked.length]).toEqual([[], 2]);
});

test("a page that is shown again asks again, but not all the time", async () => {
  const world = new World();
  world.guides = () => [guide("g")];
  const page = world.page({ visitor: { id: "ada" } });
  await world.pass(100);
  page.hide();
  page.show();
  await world.pass(100);
  expect(world.asked).toHaveLength(1);
  await world.pass(60_000);
  world.guides = () => [];
  page.show();
  await world.pass(100);
  expect([page.shown, world.asked.length]).toEqual([[], 2]);
});

test("without an answer it is asked again, later each time", async () => {
  const world = new World();
  world.guides = () => "nothing";
  const page = world.page({ visitor: { id: "ada" } });
  await world.pass(60_000);
  const before = world.asked.length;
  expect(before > 3 && before < 12, String(before)).toBe(true);
  world.guides = () => [guide("g")];
  await world.pass(120_000);
  expect(page.shown).toEqual(["g"]);
});

test("an anonymous visitor is told of before their guides are asked for under their name", async () => {
  const world = new World();
  const page = world.page({});
  await world.pass(100);
  const anonymous = page.agent.getVisitorId();
  page.agent.identify("ada");
  await world.pass(10);
  expect(world.asked.map(({ visitorId }) => visitorId)).toEqual([anonymous, "ada"]);
  expect(world.items).toMatchObject([{ type: "identify", anonymousId: anonymous }]);
});

test("who wants no guides asks for none, and who is not to be tracked is let alone", async () => {
  const world = new World();
  world.page({ visitor: { id: "ada" }, guides: false });
  await world.pass(10_000);
  expect(world.asked).toEqual([]);
  world.doNotTrack = true;
  const page = world.page({ visitor: { id: "ada" } });
  page.agent.track("x");
  await world.pass(10_000);
  expect([world.asked.length, page.agent.isReady(), world.tracked]).toEqual([1, false, []]);
});
