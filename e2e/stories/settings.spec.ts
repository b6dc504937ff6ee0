import { asAdmin, expect, test } from "../support/story";

test("a key is made, shown once, opens what its role allows, and is revoked", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  await page.goto("/keys");
  await page.getByRole("button", { name: "Add key" }).click();
  const making = page.getByRole("dialog");
  await making.getByLabel("Name").fill("dashboard");
  await making.getByRole("button", { name: "Make the key" }).click();
  const key = (await page.getByText(/^ff_key_/).textContent()) ?? "";
  const call = (method: string) => fetch(`${fanfare.url}/api/v1/webhooks`, { method, headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" }, body: method === "GET" ? null : "{}" });
  expect((await call("GET")).status).toBe(200);
  expect((await call("POST")).status).toBe(403);
  await page.getByRole("button", { name: "I have kept it" }).click();
  await expect(page.getByText(key)).toHaveCount(0);
  await page.getByRole("button", { name: "Revoke dashboard" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByRole("button", { name: "Revoke dashboard" })).toHaveCount(0);
  expect((await call("GET")).status).toBe(401);
});

test("an app is added, its snippet is there to be copied, and its origins are listed", async ({ page, fanfare, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await asAdmin(page, fanfare);
  await page.goto("/apps");
  await page.getByRole("button", { name: "Add app" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("Shop");
  await page.getByRole("dialog").getByRole("button", { name: "Add" }).click();
  await page.getByRole("button", { name: "I have kept it" }).click();
  const app = page.getByRole("region", { name: "Shop" });
  await app.getByRole("button", { name: "Install the agent" }).click();
  await app.getByRole("button", { name: "Copy the snippet" }).click();
  const read = () => page.evaluate(() => navigator.clipboard.readText());
  await expect.poll(read).toContain(fanfare.url);
  const copied = await read();
  const { data } = await fanfare.api<{ data: { name: string; agent_key: string }[] }>("GET", "/apps");
  expect(copied).toContain(data.find(({ name }) => name === "Shop")?.agent_key);
  const origins = app.getByRole("combobox", { name: "Origins" });
  await origins.fill("https://shop.example.com");
  await origins.press("Enter");
  await app.getByRole("button", { name: "Save" }).click();
  await expect(app.getByRole("button", { name: "Save" })).toHaveCount(0);
  expect(await fanfare.api("GET", "/apps")).toMatchObject({ data: [{}, { origins: ["https://shop.example.com"] }] });
});

test("what was changed stands in the audit log", async ({ page, fanfare, receiver }) => {
  await asAdmin(page, fanfare);
  await fanfare.webhook("CRM", receiver.url);
  await page.goto("/audit-log");
  await page.getByLabel("Action").fill("webhook.created");
  await expect(page.getByRole("row", { name: /webhook.created/ })).toHaveCount(1);
  await expect(page.getByRole("row", { name: /webhook.created/ })).toContainText("CRM");
});
