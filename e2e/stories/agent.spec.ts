import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import { until } from "../support/fanfare";
import { signature } from "../support/receiver";
import { Site } from "../support/site";
import { complaints, expect, test as story } from "../support/story";

const test = story.extend<{ site: Site }>({
  site: async ({ fanfare }, use) => {
    const site = await Site.start(fanfare);
    await use(site);
    await site.stop();
  },
});

const DEMO = JSON.parse(readFileSync(new URL("../../docs/demo-guide.json", import.meta.url), "utf8")) as Record<string, unknown>;
const SECRET = "s3cret!";

interface Event {
  event: string;
  visitorId: string;
  accountId: string;
  uniqueId: string;
  properties: Record<string, unknown>;
}

async function publish(fanfare: { api: (method: string, path: string, body?: unknown) => Promise<unknown> }, guide: Record<string, unknown>) {
  await fanfare.api("POST", "/guides", guide);
  await fanfare.api("POST", `/guides/${String(guide.id)}/publish`);
}

function of(requests: { body: string }[]): Event[] {
  return requests.map(({ body }) => JSON.parse(body) as Event);
}

async function answerPolls(page: Page) {
  await page.getByRole("group", { name: "How easy was it" }).getByRole("radio", { name: "4" }).check();
  await page.getByRole("radio", { name: "Yes" }).check();
  await page.getByRole("radio", { name: "Product Manager" }).check();
  await page.getByLabel("What should be better?").fill("Nothing, but <b>this</b>");
  await page.getByRole("button", { name: "Send" }).click();
}

/** Answers with when it was sent. */
async function answerNps(page: Page): Promise<number> {
  await expect(page.getByLabel("Why?")).toBeHidden();
  await page.getByRole("group", { name: "How likely" }).getByRole("radio", { name: "9" }).check();
  await page.getByLabel("Why?").fill("It just works");
  const clicked = Date.now();
  await page.getByRole("button", { name: "Send" }).click();
  return clicked;
}

test("the demo page: a survey that is answered arrives at the receiver a moment later, once", async ({ page, fanfare, receiver }) => {
  await publish(fanfare, DEMO);
  await fanfare.webhook("All", receiver.url, { secret: SECRET, ordered: true });
  await page.goto("/demo");
  await expect(page.getByRole("dialog", { name: "The demo guide" })).toBeVisible();
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
  await page.screenshot({ path: "screenshots/guide-modal.png" });
  await answerPolls(page);
  await expect(page.getByRole("heading", { name: "One more" })).toBeVisible();
  const clicked = await answerNps(page);
  await receiver.got('"npsSubmitted"');
  console.log(`from the click to the receiver: ${Date.now() - clicked} ms`);
  await expect(page.getByRole("dialog")).toBeHidden();

  await page.getByLabel("Track event").fill("Left");
  await page.getByRole("button", { name: "Track", exact: true }).click();
  await receiver.got('"Left"');
  const events = of(receiver.requests);
  const names = events.map(({ event }) => event);
  expect(names.slice(0, 2)).toEqual(["visitorCreated", "accountCreated"]);
  expect([...names].sort()).toEqual([
    "accountCreated", "guideDisplayed", "guideDisplayed", "npsDisplayed", "npsSubmitted", "pollDisplayed", "pollSubmitted", "trackEventReceived", "visitorCreated",
  ]);
  const submitted = events.find(({ event }) => event === "pollSubmitted")?.properties.pollResponses as { pollType: string; response: unknown }[];
  expect(submitted.map(({ pollType, response }) => [pollType, response])).toEqual([
    ["NumberScale", 4], ["PositiveNegative", 1], ["PickList", "Product Manager"], ["FreeForm", "Nothing, but <b>this</b>"],
  ]);
  expect(events.find(({ event }) => event === "npsSubmitted")?.properties).toMatchObject({ nps: { rating: 9, reason: "It just works", source: "web" } });
  for (const { body, headers } of receiver.requests) expect(headers["x-pendo-signature"]).toBe(signature(SECRET, body));

  // Who has answered it is not asked again, on no device; somebody else is.
  await page.reload();
  await expect(page.locator("#log")).toContainText("guidesLoaded");
  await expect(page.getByText("There is none for this visitor")).toBeVisible();
  await page.getByRole("button", { name: "Somebody new" }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
  await expect(page.getByRole("button", { name: "Somebody new" })).toBeFocused();
});

test.describe("switched off", () => {
  test.use({ flags: ["--demo", "false"] });
  test("there is no demo page", async ({ fanfare }) => {
    expect((await fetch(`${fanfare.url}/demo`)).status).toBe(404);
  });
});

const HOSTILE = `* { display: none !important; color: red !important; font: 60px serif !important; visibility: hidden !important; }
  html, body, h1 { display: block !important; visibility: visible !important } div { transform: rotate(45deg) !important; position: static !important; }
  dialog, fieldset, input, button { width: 1px !important; opacity: 0 !important; pointer-events: none !important; }`;

test("a page of another origin, with a strict policy, hostile styles and no network for a while, loses nothing and repeats nothing", async ({ page, context, fanfare, receiver, site }) => {
  await publish(fanfare, { ...DEMO, pages: [] });
  await fanfare.webhook("All", receiver.url, { secret: SECRET, ordered: true });
  site.style = HOSTILE;
  site.script = `fanfare.initialize({ visitor: { id: "eve" }, account: { id: "acme" } });`;
  await page.goto(site.origin);
  await expect(page.getByRole("dialog")).toBeVisible();
  await receiver.got('"pollDisplayed"');
  await context.setOffline(true);
  await answerPolls(page);
  await page.evaluate(() => { (window as unknown as { fanfare: { track: (name: string) => void } }).fanfare.track("Offline"); });
  await answerNps(page);
  await expect(page.getByRole("dialog")).toBeHidden();
  expect(of(receiver.requests).some(({ event }) => event.endsWith("Submitted"))).toBe(false);
  await context.setOffline(false);
  await receiver.got('"npsSubmitted"');
  await receiver.got('"Offline"');
  await page.evaluate(() => { (window as unknown as { fanfare: { track: (name: string) => void } }).fanfare.track("Closing"); });
  await page.close({ runBeforeUnload: false });
  await receiver.got('"Closing"');
  const events = of(receiver.requests);
  expect(new Set(events.map(({ uniqueId }) => uniqueId)).size).toBe(events.length);
  expect(events.map(({ event }) => event).sort()).toEqual([
    "accountCreated", "guideDisplayed", "guideDisplayed", "npsDisplayed", "npsSubmitted", "pollDisplayed", "pollSubmitted", "trackEventReceived", "trackEventReceived", "visitorCreated",
  ]);
  expect(events[0]?.event).toBe("visitorCreated");
  for (const { body, headers } of receiver.requests) expect(headers["x-pendo-signature"]).toBe(signature(SECRET, body));
});

test("two tabs, two visitors in a row, and another account: each did what they did", async ({ page, context, fanfare, receiver, site }) => {
  await fanfare.webhook("All", receiver.url, { categories: ["track_events"] });
  await publish(fanfare, { id: "g", name: "Welcome", steps: [{ id: "s", text: "Welcome" }] });
  site.script = `const agent = fanfare; agent.initialize({});`;
  const call = (at: Page, code: string) => at.evaluate(code);
  await page.goto(site.origin);
  await page.getByRole("button", { name: "Later" }).click();
  await call(page, `fanfare.track("As nobody"); void fanfare.flushNow()`);
  await receiver.got("As nobody");
  const other = await context.newPage();
  const said = complaints(other);
  await other.goto(site.origin);
  const anonymous = (await call(page, "fanfare.getVisitorId()")) as string;
  expect(await call(other, "fanfare.getVisitorId()")).toBe(anonymous);
  // Put off in one tab, it is not shown in the other; nor to who they turn out to be.
  await call(page, `fanfare.identify("ann", "acme"); fanfare.track("As ann"); void fanfare.flushNow()`);
  await receiver.got("As ann");
  await call(other, `fanfare.identify("ann", "acme"); fanfare.identify("ann", "other-inc"); fanfare.track("For another"); fanfare.identify("bob"); fanfare.track("As bob"); void fanfare.flushNow()`);
  await receiver.got("As bob");
  await expect(other.getByRole("dialog", { name: "Welcome" })).toBeVisible();
  await expect(page.getByRole("dialog")).toBeHidden();
  const did = of(receiver.requests).map(({ visitorId, accountId, properties }) => [properties.name, visitorId, accountId]);
  expect(did.sort()).toEqual([
    ["As ann", "ann", "acme"], ["As bob", "bob", ""], ["As nobody", anonymous, ""], ["For another", "ann", "other-inc"],
  ]);
  expect((await fanfare.api<{ anonymous_ids: string[] }>("GET", "/visitors/ann")).anonymous_ids).toEqual([anonymous]);
  expect(said).toEqual([]);
});

test("a banner and a tooltip keep their place, whatever the page does", async ({ page, fanfare, site }) => {
  const script = "<script>window.hacked = true</script> <img src=x onerror=\"window.hacked = true\"> [x](javascript:window.hacked=true)";
  await publish(fanfare, { id: "b", name: "News", layout: "banner", pages: ["/"], steps: [{ id: "s", text: `**News** for you. ${script}` }] });
  await publish(fanfare, {
    id: "t", name: "Share", layout: "tooltip", pages: ["/reports"], audience: "visitor.agent.role == 'admin'",
    steps: [{ id: "s", text: "Reports can be *shared*.", element: "#share", polls: [{ type: "FreeForm", question: "With whom?" }] }],
  });
  site.body = `<h1>Home</h1><label>Name <input id="name"></label><div id="root"></div>`;
  site.script = `fanfare.initialize({ visitor: { id: "ann", role: "admin" } });
    document.addEventListener("keydown", (event) => { if (event.key === "s") document.title = "The page's shortcut"; });`;
  await page.goto(site.origin);
  await page.getByLabel("Name").focus();
  const banner = page.getByRole("region", { name: "News" });
  await expect(banner).toContainText("<script>");
  await expect(page.getByLabel("Name")).toBeFocused();
  expect(await page.evaluate(() => (window as unknown as { hacked?: boolean }).hacked)).toBeUndefined();
  expect((await new AxeBuilder({ page }).include("[data-fanfare-guide]").analyze()).violations).toEqual([]);
  await page.screenshot({ path: "screenshots/guide-banner.png" });

  // A framework builds the page anew and takes everything away that is not its own.
  await page.evaluate(() => { for (const child of Array.from(document.documentElement.children)) if (child.tagName === "DIV") child.remove(); });
  await expect(banner).toBeVisible();
  await page.evaluate(() => { history.pushState({}, "", "/elsewhere"); });
  await expect(banner).toBeHidden();
  await page.evaluate(() => { history.pushState({}, "", "/"); });
  await banner.getByRole("button", { name: "Close" }).click();
  await expect(banner).toBeHidden();

  // The next page comes without being loaded, and its button after a while.
  await page.evaluate(() => { history.pushState({}, "", "/reports"); });
  await page.waitForTimeout(700);
  await expect(page.getByRole("dialog", { name: "Share" })).toBeHidden();
  await page.evaluate(() => {
    const button = document.createElement("button");
    button.id = "share";
    button.textContent = "Share";
    document.getElementById("root")?.append(button);
  });
  const tooltip = page.getByRole("dialog", { name: "Share" });
  await expect(tooltip).toBeVisible();
  const [at, button] = [await tooltip.boundingBox(), await page.locator("#share").boundingBox()];
  expect((at?.y ?? 0) - ((button?.y ?? 0) + (button?.height ?? 0))).toBeCloseTo(8, 0);
  await page.screenshot({ path: "screenshots/guide-tooltip.png" });
  await tooltip.getByLabel("With whom?").pressSequentially("sales");
  expect(await page.title()).toBe("An application");
  await page.keyboard.press("Escape");
  await expect(tooltip).toBeHidden();
  await page.reload();
  await until("the guides are asked for", async () => (await page.evaluate("fanfare.isReady()")) === true);
  await expect(tooltip).toBeHidden();
});

test("by keyboard alone, on a phone", async ({ page, fanfare, receiver }) => {
  await page.setViewportSize({ width: 390, height: 700 });
  await publish(fanfare, DEMO);
  await fanfare.webhook("All", receiver.url, { categories: ["polls"] });
  await page.goto("/demo");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toBeVisible();
  await page.screenshot({ path: "screenshots/guide-modal-phone.png" });
  await expect(dialog.getByRole("button", { name: "Close" })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  while (!(await dialog.getByRole("button", { name: "Send" }).evaluate((button) => button.matches(":focus")))) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const { body } = await receiver.got('"pollSubmitted"');
  expect(JSON.parse(body)).toMatchObject({ properties: { pollResponses: [{ pollType: "NumberScale", response: 3 }, { pollType: "PositiveNegative", response: 1 }] } });
});
