import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { until } from "../support/fanfare";
import { signature } from "../support/receiver";
import { asAdmin, expect, test } from "../support/story";

test("a webhook is created, tested and turned on, and what it delivers is shown", async ({ page, fanfare, receiver, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await asAdmin(page, fanfare);
  await page.goto("/webhooks");
  await page.getByRole("link", { name: "Add Webhook" }).click();

  await page.getByLabel("Name").fill("CRM");
  await page.getByRole("textbox", { name: "URL" }).fill(receiver.url);
  await page.getByRole("button", { name: "Generate" }).click();
  const secret = await page.getByLabel("Secret").inputValue();
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await expect(page.getByText("200", { exact: true })).toBeVisible();
  const ping = await receiver.got('"event":"ping"');
  expect(ping.headers["x-pendo-signature"]).toBe(signature(secret, ping.body));

  await page.getByRole("button", { name: "Create" }).click();
  const shown = page.getByRole("dialog");
  await expect(shown).toContainText("whsec_");
  await shown.getByRole("button", { name: "I have kept it" }).click();
  await expect(page.getByRole("heading", { name: "CRM" })).toBeVisible();
  await expect(page.getByText("Nothing was delivered yet")).toBeVisible();

  await page.getByRole("button", { name: "Turn on" }).click();
  await expect(page.getByRole("button", { name: "Turn off" })).toBeVisible();
  await fanfare.track("Account Upgraded", { plan: "gold" });
  const sent = await receiver.got("Account Upgraded");
  expect(sent.headers["x-pendo-signature"]).toBe(signature(secret, sent.body));
  await page.getByRole("link", { name: "trackEventReceived" }).click();

  await expect(page.getByLabel("Request body")).toContainText("Account Upgraded");
  await page.getByRole("button", { name: "Copy as curl" }).click();
  await expect(page.getByRole("button", { name: "Copied" })).toBeVisible();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  const before = receiver.requests.length;
  await promisify(execFile)("sh", ["-c", command]);
  await until("what was copied sends the same", () => receiver.requests.length === before + 1);
  const copied = receiver.requests.at(-1);
  expect(copied?.body).toBe(sent.body);
  expect(copied?.headers["x-pendo-signature"]).toBe(sent.headers["x-pendo-signature"]);

  await page.getByRole("button", { name: "Send again" }).click();
  await until("it is sent again", () => receiver.requests.length === before + 2);
  expect(receiver.requests.at(-1)?.headers["webhook-id"]).toBe(sent.headers["webhook-id"]);
});

test("a wrong URL is said beside its field", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  await page.goto("/webhooks/new");
  await page.getByLabel("Name").fill("CRM");
  await page.getByRole("textbox", { name: "URL" }).fill("ftp://example.com/");
  await page.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("textbox", { name: "URL" })).toHaveAttribute("aria-invalid", "true");
});

test("a webhook is deleted by typing its name", async ({ page, fanfare, receiver }) => {
  await fanfare.webhook("CRM", receiver.url);
  await fanfare.webhook("Analytics", receiver.url);
  await asAdmin(page, fanfare);
  await page.goto("/webhooks");
  await page.getByRole("row", { name: /CRM/ }).hover();
  await page.getByRole("button", { name: "Delete CRM" }).click();
  const dialog = page.getByRole("dialog");
  const confirm = dialog.getByRole("button", { name: "Delete" });
  await expect(confirm).toBeDisabled();
  await dialog.getByLabel("Type CRM to confirm").fill("Analytics");
  await expect(confirm).toBeDisabled();
  await dialog.getByLabel("Type CRM to confirm").fill("CRM");
  await confirm.click();
  await expect(page.getByRole("link", { name: "CRM", exact: true })).toHaveCount(0);
  await expect(page.getByRole("link", { name: "Analytics", exact: true })).toBeVisible();
  const { data } = await fanfare.api<{ data: { name: string }[] }>("GET", "/webhooks");
  expect(data.map(({ name }) => name)).toEqual(["Analytics"]);
});

test("a webhook is turned off and on in the list", async ({ page, fanfare, receiver }) => {
  const id = await fanfare.webhook("CRM", receiver.url);
  await asAdmin(page, fanfare);
  await page.goto("/webhooks");
  const state = async () => (await fanfare.api<{ state: string }>("GET", `/webhooks/${id}`)).state;
  await page.getByLabel("CRM is on").click({ force: true });
  await expect(page.getByLabel("CRM is off")).not.toBeChecked();
  expect(await state()).toBe("off");
  await page.getByLabel("CRM is off").click({ force: true });
  await expect(page.getByLabel("CRM is on")).toBeChecked();
  expect(await state()).toBe("on");
});
