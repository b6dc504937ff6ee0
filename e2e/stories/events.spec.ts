import { asAdmin, expect, test } from "../support/story";

test("an event is found by its visitor, and the page says who was told of it, who was not, and why", async ({ page, fanfare, receiver }) => {
  await asAdmin(page, fanfare);
  await fanfare.webhook("Told", receiver.url);
  await fanfare.webhook("Other category", receiver.url, { categories: ["nps"] });
  await fanfare.webhook("Filtered", receiver.url, { filter: 'visitorId == "somebody else"' });
  await fanfare.track("Report exported", {}, "ann");
  await fanfare.track("Report exported", {}, "ben");
  await receiver.got("Report exported");
  await page.goto("/events");
  await page.getByLabel("Visitor").fill("ann");
  await expect(page.getByRole("link", { name: "trackEventReceived" })).toHaveCount(1);
  await page.getByRole("link", { name: "trackEventReceived" }).click();
  await expect(page.getByLabel("Body")).toContainText("Report exported");
  await expect(page.getByRole("row", { name: /^Told/ })).toContainText("delivered");
  await expect(page.getByRole("row", { name: /^Other category/ })).toContainText(/categor/);
  await expect(page.getByRole("row", { name: /^Filtered/ })).toContainText(/filter/);
});
