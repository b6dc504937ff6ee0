import type { Fanfare } from "../support/fanfare";
import { until } from "../support/fanfare";
import { asAdmin, expect, test } from "../support/story";

/** So many track events, in batches of the agent. */
async function burst(fanfare: Fanfare, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += 500) {
    const items = Array.from({ length: Math.min(500, count - sent) }, (_, index) => ({
      type: "track", visitorId: "ann", accountId: "acme", browserTime: Date.now(), name: `burst ${sent + index}`,
    }));
    await fanfare.agent(items);
  }
}

test("deliveries appear as they happen, without being asked for", async ({ page, fanfare, receiver }) => {
  const id = await fanfare.webhook("CRM", receiver.url);
  await asAdmin(page, fanfare);
  const pages: string[] = [];
  page.on("request", (request) => {
    if (request.url().includes(`/webhooks/${id}/deliveries`)) pages.push(request.url());
  });
  await page.goto(`/webhooks/${id}`);
  await expect(page.getByText("Nothing was delivered yet")).toBeVisible();
  await until("the stream is open", () => pages.some((url) => url.endsWith("/live")));
  const asked = pages.length;
  await fanfare.track("Account Upgraded");
  await expect(page.getByRole("link", { name: "trackEventReceived" })).toBeVisible();
  expect(pages.length).toBe(asked);

  await page.reload();
  await expect(page.getByRole("img", { name: /^Deliveries a minute in the last 24 hours: delivered at most 0\.07, failed at most 0$/ })).toBeVisible();
  await expect(page.getByRole("img", { name: /^An attempt took/ })).toBeVisible();
});

test("a burst of ten thousand leaves the page small and awake", async ({ page, fanfare, receiver }) => {
  test.slow();
  const id = await fanfare.webhook("CRM", receiver.url);
  await asAdmin(page, fanfare);
  await page.goto(`/webhooks/${id}`);
  await expect(page.getByText("Nothing was delivered yet")).toBeVisible();
  // The longest time between two frames, from now on.
  await page.evaluate(() => {
    const state = window as unknown as { longest: number };
    state.longest = 0;
    let before = performance.now();
    const tick = (now: number) => {
      state.longest = Math.max(state.longest, now - before);
      before = now;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  await burst(fanfare, 10_000);
  await until("all were delivered", () => receiver.requests.length >= 10_000);
  await expect(page.getByText(/more went by too fast to be shown/)).toBeVisible();
  const rows = page.locator("tbody tr");
  expect(await rows.count()).toBeLessThan(100);
  const longest = await page.evaluate(() => (window as unknown as { longest: number }).longest);
  expect(longest, "milliseconds without a frame").toBeLessThan(2_000);

  await page.getByRole("switch", { name: "Live" }).click();
  const total = () => page.locator("table").getAttribute("aria-rowcount").then(Number);
  await page.evaluate(() => { (window as unknown as { longest: number }).longest = 0; });
  await until("the list was read to its end by scrolling", async () => {
    await page.mouse.wheel(0, 9_000);
    return (await total()) > 9_900;
  });
  expect(await rows.count()).toBeLessThan(100);
  const stuck = await page.evaluate(() => (window as unknown as { longest: number }).longest);
  expect(stuck, "milliseconds without a frame while scrolling").toBeLessThan(2_000);
});
