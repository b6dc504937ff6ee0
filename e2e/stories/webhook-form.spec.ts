import { asAdmin, expect, test } from "../support/story";

test("a webhook is told of some events, in a form of its own, with headers and a password", async ({ page, fanfare, receiver }) => {
  await asAdmin(page, fanfare);
  await fanfare.track("Account Upgraded", { plan: "gold" }, "ann");
  await fanfare.track("Report exported", {}, "ben");
  await page.goto("/webhooks/new");
  await page.getByLabel("Name", { exact: false }).first().fill("Upgrades");
  await page.getByRole("textbox", { name: "URL" }).fill(receiver.url);

  await page.getByRole("button", { name: "Only some of the events" }).click();
  await page.getByLabel("Filter").fill("properties.name = 1");
  await page.getByRole("button", { name: "Try it on the last 100 events" }).click();
  await expect(page.getByLabel("Filter")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByText(/column/)).toBeVisible();
  await page.getByLabel("Filter").fill('properties.name == "Account Upgraded"');
  await page.getByRole("button", { name: "Try it on the last 100 events" }).click();
  await expect(page.getByText("1 of the last 2 would be sent.")).toBeVisible();

  await page.getByRole("button", { name: "Format of the body" }).click();
  await page.getByRole("combobox", { name: "Body" }).click();
  await page.getByRole("option", { name: "What a template makes of it" }).click();
  await page.getByLabel("Template").fill('{"text": "{{ visitorId "}');
  await expect(page.getByRole("alert").filter({ hasText: "Line 1" })).toBeVisible();
  await page.getByLabel("Template").fill('{"text": "{{ visitorId }} did it"}');
  await expect(page.getByLabel("What would be sent")).toContainText("did it");

  await page.getByRole("button", { name: "Further headers and authentication" }).click();
  await page.getByRole("button", { name: "Add a header" }).click();
  await page.getByLabel("Name of header 1").fill("Host");
  await page.getByLabel("Value of header 1").fill("k3y");
  await page.getByRole("combobox", { name: "Authentication" }).click();
  await page.getByRole("option", { name: "Name and password (Basic)" }).click();
  await page.getByLabel("User name").fill("ada");
  await page.getByRole("textbox", { name: "Password" }).fill("t0ps3cret");
  await page.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("alert").filter({ hasText: /Host/i })).toBeVisible();
  await page.getByLabel("Name of header 1").fill("X-Api-Key");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("button", { name: "I have kept it" }).click();

  await page.getByRole("button", { name: "Turn on" }).click();
  await expect(page.getByRole("button", { name: "Turn off" })).toBeVisible();
  await fanfare.track("Report exported", {}, "cem");
  await fanfare.track("Account Upgraded", {}, "dan");
  const sent = await receiver.got("did it");
  expect(JSON.parse(sent.body)).toEqual({ text: "dan did it" });
  expect(sent.headers["x-api-key"]).toBe("k3y");
  expect(sent.headers.authorization).toBe(`Basic ${Buffer.from("ada:t0ps3cret").toString("base64")}`);
  expect(receiver.requests).toHaveLength(1);

  // Saved again without a change: the secrets that are not shown are still there.
  await page.getByRole("link", { name: "Edit" }).click();
  await expect(page.getByRole("button", { name: /Only some of the events/ })).toContainText("set");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("heading", { name: "Upgrades", exact: true })).toBeVisible();
  await fanfare.track("Account Upgraded", {}, "eve");
  const again = await receiver.got("eve did it");
  expect(again.headers["x-api-key"]).toBe("k3y");
  expect(again.headers.authorization).toBe(sent.headers.authorization);
});

test("a Segment webhook is made with a write key, and its test says what a 200 is worth", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  await page.goto("/webhooks/new");
  await page.getByRole("radio", { name: /Twilio Segment/ }).check();
  await page.getByLabel("Name", { exact: false }).first().fill("Segment");
  await page.getByLabel("Write key").fill("not a key");
  await page.getByRole("button", { name: "Create" }).click();
  await expect(page.getByLabel("Write key")).toHaveAttribute("aria-invalid", "true");
  await page.getByLabel("Write key").fill("a1b2c3d4e5f6");
  await page.getByRole("combobox", { name: "Region of the workspace" }).click();
  await page.getByRole("option", { name: /Dublin/ }).click();
  await page.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("heading", { name: "Segment", exact: true })).toBeVisible();
  await page.getByRole("link", { name: "Edit" }).click();
  await expect(page.getByText("ending in e5f6")).toBeVisible();
  const { data } = await fanfare.api<{ data: unknown[] }>("GET", "/webhooks");
  expect(data).toMatchObject([{ type: "segment", endpoint: "https://events.eu1.segmentapis.com", write_key_last4: "e5f6", enabled: false }]);
});

test("an event's sample is sent as a test, and both sides are shown", async ({ page, fanfare, receiver }) => {
  await asAdmin(page, fanfare);
  receiver.status = 404;
  await page.goto("/webhooks/new");
  await page.getByRole("textbox", { name: "URL" }).fill(receiver.url);
  await page.getByRole("combobox", { name: "What to send" }).click();
  await page.getByRole("option", { name: "npsSubmitted" }).click();
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await expect(page.getByRole("heading", { name: "What became of the test" })).toBeVisible();
  await expect(page.getByText("404", { exact: true })).toBeVisible();
  await expect(page.getByLabel("Request body")).toContainText("npsSubmitted");
  await expect(page.getByLabel("Response body")).toContainText("false");
});

test("secret and signing key are replaced with an overlap", async ({ page, fanfare, receiver }) => {
  const id = await fanfare.webhook("CRM", receiver.url, { secret: "the first one" });
  await asAdmin(page, fanfare);
  await page.goto(`/webhooks/${id}/edit`);
  await page.getByRole("button", { name: "Make a new key" }).click();
  await page.getByRole("button", { name: "Make it" }).click();
  await expect(page.getByRole("dialog", { name: "The new signing key" })).toContainText("whsec_");
  await page.getByRole("button", { name: "I have kept it" }).click();
  await expect(page.getByText("The one before it signs until")).toBeVisible();
  await page.getByLabel("Secret").fill("the second one");
  await page.getByRole("combobox", { name: "While receivers change over" }).click();
  await page.getByRole("option", { name: /for a day/ }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("heading", { name: "CRM", exact: true })).toBeVisible();
  const webhook = await fanfare.api<{ old_secret_until: string | null; old_signing_key_until: string | null }>("GET", `/webhooks/${id}`);
  expect(webhook.old_secret_until).not.toBeNull();
  expect(webhook.old_signing_key_until).not.toBeNull();
});

test("what was typed is not lost by leaving without a question", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  await page.goto("/webhooks/new");
  await page.getByLabel("Name", { exact: false }).first().fill("Unsaved");
  page.once("dialog", (dialog) => void dialog.dismiss());
  await page.getByRole("link", { name: "Error Log" }).click();
  await expect(page.getByLabel("Name", { exact: false }).first()).toHaveValue("Unsaved");
  page.once("dialog", (dialog) => void dialog.accept());
  await page.getByRole("link", { name: "Error Log" }).click();
  await expect(page.getByRole("heading", { name: "Error Log" })).toBeVisible();
});
