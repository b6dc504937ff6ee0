import { until } from "../support/fanfare";
import { asAdmin, expect, test } from "../support/story";

test("a visitor is found, looked at and forgotten", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  const browserTime = Date.now();
  await fanfare.agent([{ type: "identify", visitorId: "ann/1", accountId: "acme::west", browserTime, visitor: { role: "cto" }, account: { plan: "pro" } }]);
  await fanfare.track("Report exported", {}, "ann/1");
  await fanfare.track("Report exported", {}, "ben");
  await page.goto("/visitors");
  await expect(page.getByRole("link", { name: "ben" })).toBeVisible();
  await page.getByLabel("Search visitors").fill("ann");
  await expect(page.getByRole("link", { name: "ben" })).toHaveCount(0);
  await page.getByRole("link", { name: "ann/1" }).click();
  await expect(page.getByRole("heading", { name: "ann/1" })).toBeVisible();
  await expect(page.getByRole("row", { name: /agent.role/ })).toContainText("cto");
  await expect(page.getByRole("link", { name: "trackEventReceived" })).toBeVisible();
  await page.getByRole("link", { name: "acme::west" }).click();
  await expect(page.getByRole("row", { name: /agent.plan/ })).toContainText("pro");
  await page.goBack();

  await page.getByRole("button", { name: "Forget" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("button", { name: "Forget" })).toBeDisabled();
  await dialog.getByLabel("Type ann/1 to confirm").fill("ann/1");
  await dialog.getByRole("button", { name: "Forget" }).click();
  await expect(page.getByRole("heading", { name: "Privacy" })).toBeVisible();
  await expect(page.getByText("done", { exact: true })).toBeVisible();
  await until("nothing of them is left", async () => (await fanfare.api<{ data: unknown[] }>("GET", "/events?visitor=ann%2F1")).data.length === 0);
  await page.goto("/visitors");
  await expect(page.getByRole("link", { name: "ben" })).toBeVisible();
  await expect(page.getByRole("link", { name: "ann/1" })).toHaveCount(0);
});

test("whoever objects is not processed any more", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  await page.goto("/privacy");
  await expect(page.getByRole("heading", { name: "Everybody is processed" })).toBeVisible();
  await page.getByRole("textbox", { name: "Id", exact: true }).fill("ann");
  await page.getByRole("button", { name: "Do not process" }).click();
  await expect(page.getByRole("button", { name: /^Remove/ })).toBeVisible();
  await fanfare.track("Thrown away", {}, "ann");
  await fanfare.track("Kept", {}, "ben");
  await until("the other one is on record", async () => (await fanfare.api<{ data: unknown[] }>("GET", "/events?visitor=ben")).data.length === 1);
  expect((await fanfare.api<{ data: unknown[] }>("GET", "/events?event=trackEventReceived")).data).toHaveLength(1);
  await page.getByRole("button", { name: /^Remove/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove the rule" }).click();
  await expect(page.getByRole("heading", { name: "Everybody is processed" })).toBeVisible();
});

test("exclusions come from a file, all of them or none", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  await page.goto("/exclusions");
  const file = (text: string) => ({ name: "rules.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
  await page.locator('input[type="file"]').setInputFiles(file("kind,pattern\nvisitor,test-*\nplanet,x\n"));
  await expect(page.getByRole("alert")).toBeVisible();
  expect((await fanfare.api<{ data: unknown[] }>("GET", "/exclusions")).data).toHaveLength(0);
  await page.locator('input[type="file"]').setInputFiles(file("kind,pattern\nvisitor,test-*\nip,10.1.0.0/16\n"));
  await expect(page.getByRole("cell", { name: "test-*", exact: true })).toBeVisible();
  await expect(page.getByRole("cell", { name: "10.1.0.0/16", exact: true })).toBeVisible();
});
