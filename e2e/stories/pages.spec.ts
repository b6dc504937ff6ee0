import AxeBuilder from "@axe-core/playwright";
import { type Page, test as base } from "@playwright/test";
import { Fanfare, until } from "../support/fanfare";
import { Receiver } from "../support/receiver";
import { ADMIN, complaints, expect } from "../support/story";

/** An installation in which something has happened, for all pages that a worker looks at. */
interface Lived {
  fanfare: Fanfare;
  token: string;
  webhook: string;
  failing: string;
  delivery: string;
  event: string;
  guide: string;
}

const test = base.extend<object, { lived: Lived }>({
  lived: [
    async ({}, use) => {
      const [fanfare, good, bad] = await Promise.all([Fanfare.start(["--retry-delays", "50ms", "--sign-in-tries-per-address", "1000"]), Receiver.start(), Receiver.start()]);
      bad.status = 500;
      await use(await live(fanfare, good, bad));
      await Promise.all([fanfare.stop(), good.stop(), bad.stop()]);
    },
    { scope: "worker" },
  ],
});

async function live(fanfare: Fanfare, good: Receiver, bad: Receiver): Promise<Lived> {
  const token = new URL(fanfare.keys.setup_url).searchParams.get("token") ?? "";
  await fetch(`${fanfare.url}/api/v1/set-up`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token, ...ADMIN }) });
  const webhook = await fanfare.webhook("CRM, all events", good.url, { secret: "It's a Secret to Everybody" });
  const failing = await fanfare.webhook("Analytics, track events only", bad.url, { categories: ["track_events"] });
  const { url: inspector } = await fanfare.api<{ url: string }>("GET", "/inspector");
  await fanfare.webhook("Inspected", inspector);
  await fanfare.api("POST", "/users", { email: "mia@example.com", name: "Mia Member", role: "member" });
  await fanfare.api("POST", "/exclusions", { kind: "visitor", pattern: "bot-*" });
  for (let number = 1; number <= 12; number += 1) await fanfare.track(`Report ${number} exported`, { pages: number }, `visitor-${number % 4}`);
  await fanfare.track("Not for others", {}, "bot-7");
  await fanfare.agent([{ type: "identify", visitorId: "ann", accountId: "acme", browserTime: Date.now(), visitor: { email: "ann@example.com" } }]);
  await until("everything has ended", async () => (await fanfare.states(failing)).filter((state) => state === "failed").length === 12);
  const { data: deliveries } = await fanfare.api<{ data: { id: string }[] }>("GET", `/webhooks/${failing}/deliveries`);
  const { data: events } = await fanfare.api<{ data: { id: string }[] }>("GET", "/events?event=trackEventReceived");
  const polls = [{ type: "NPSRating", question: "Would you recommend us?" }, { type: "PickList", question: "Your role?", choices: [{ text: "Engineer" }] }];
  const { id: guide } = await fanfare.api<{ id: string }>("POST", "/guides", { name: "Quarterly survey", steps: [{ polls }] });
  await fanfare.api("POST", "/do-not-process", { kind: "visitor", id: "eve" });
  await fanfare.api("POST", "/visitors/visitor-3/forget");
  return { fanfare, token, webhook, failing, delivery: deliveries[0]?.id ?? "", event: events[0]?.id ?? "", guide };
}

const PAGES: Record<string, (lived: Lived) => string> = {
  webhooks: () => "/webhooks",
  "add-webhook": () => "/webhooks/new",
  webhook: ({ webhook }) => `/webhooks/${webhook}`,
  "webhook-failing": ({ failing }) => `/webhooks/${failing}`,
  replays: ({ webhook }) => `/webhooks/${webhook}?tab=replays`,
  "edit-webhook": ({ webhook }) => `/webhooks/${webhook}/edit`,
  review: ({ failing }) => `/webhooks/${failing}/review`,
  delivery: ({ delivery }) => `/deliveries/${delivery}`,
  "error-log": () => "/error-log",
  events: () => "/events",
  event: ({ event }) => `/events/${event}`,
  users: () => "/users",
  keys: () => "/keys",
  apps: () => "/apps",
  "audit-log": () => "/audit-log",
  exclusions: () => "/exclusions",
  guides: () => "/guides",
  "add-guide": () => "/guides/new",
  guide: ({ guide }) => `/guides/${guide}`,
  visitors: () => "/visitors",
  visitor: () => "/visitors/ann",
  accounts: () => "/accounts",
  account: () => "/accounts/acme",
  privacy: () => "/privacy",
  "api-reference": () => "/api-reference",
  mails: () => "/mails",
  profile: () => "/profile",
  inspector: () => "/inspector",
  start: () => "/start",
};

const OUTSIDE: Record<string, string> = {
  "sign-in": "/sign-in",
  "set-up": "/setup?token=x",
  invitation: "/invitation?token=x",
  "password-reset": "/password-reset",
  "password-reset-link": "/password-reset?token=x",
};

const VIEWPORTS = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

/** Looks at a page in every size and colour scheme: takes its picture, and lets axe judge it. */
async function look(page: Page, name: string): Promise<void> {
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.getByLabel("Loading")).toHaveCount(0);
  for (const [size, viewport] of Object.entries(VIEWPORTS)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await expect(page.locator("html")).toHaveAttribute("data-mantine-color-scheme", colorScheme);
      await page.screenshot({ path: `screenshots/${name}-${size}-${colorScheme}.png`, fullPage: true, animations: "disabled" });
      // Colours do not depend on the size.
      if (size === "phone" && colorScheme === "dark") continue;
      const { violations } = await new AxeBuilder({ page }).analyze();
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      const found = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("\n")}`);
      expect(found, `${name}, ${size}, ${colorScheme}`).toEqual([]);
    }
    const { width } = viewport;
    expect(await page.evaluate(() => document.documentElement.scrollWidth), `${name} fits on a ${size}`).toBeLessThanOrEqual(width);
  }
}

for (const [name, path] of Object.entries(PAGES)) {
  test(`the page ${name} is accessible, bright and dark, wide and narrow`, async ({ browser, lived }) => {
    const context = await browser.newContext({ baseURL: lived.fanfare.url });
    const page = await context.newPage();
    const said = complaints(page);
    await page.request.post("/api/v1/session", { data: { email: ADMIN.email, password: ADMIN.password } });
    await page.goto(path(lived));
    await look(page, name);
    expect(said).toEqual([]);
    await context.close();
  });
}

test("the form of a webhook with everything opened is accessible, bright and dark, wide and narrow", async ({ browser, lived }) => {
  const context = await browser.newContext({ baseURL: lived.fanfare.url });
  const page = await context.newPage();
  await page.request.post("/api/v1/session", { data: { email: ADMIN.email, password: ADMIN.password } });
  await page.goto(`/webhooks/${lived.webhook}/edit`);
  for (const group of ["Only some", "Format of", "Further headers", "Pace and"]) await page.getByRole("button", { name: new RegExp(group) }).click();
  await page.getByLabel("Filter").fill('event == "trackEventReceived"');
  await page.getByRole("button", { name: /Try it/ }).click();
  await page.getByRole("combobox", { name: "Body" }).click();
  await page.getByRole("option", { name: /Slack/ }).click();
  await expect(page.getByLabel("What would be sent")).toBeVisible();
  await page.getByRole("button", { name: "Add a header" }).click();
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await expect(page.getByRole("heading", { name: "What became of the test" })).toBeVisible();
  await look(page, "webhook-form-opened");
  await context.close();
});

for (const [name, path] of Object.entries(OUTSIDE)) {
  test(`the page ${name} is accessible, bright and dark, wide and narrow`, async ({ browser, lived }) => {
    const context = await browser.newContext({ baseURL: lived.fanfare.url });
    const page = await context.newPage();
    await page.goto(path);
    await look(page, name);
    await context.close();
  });
}
