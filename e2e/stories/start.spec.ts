import { asAdmin, expect, test } from "../support/story";

test("whoever has just set up makes a webhook, sends an event and sees it arrive, with nothing else installed", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  await page.goto("/");
  await page.getByRole("link", { name: "Make your first one step by step" }).click();
  await expect(page.getByRole("heading", { name: "Your first webhook" })).toBeVisible();
  await expect(page.getByRole("radio", { name: /The inspector/ })).toBeChecked();
  await page.getByRole("button", { name: "Next" }).click();
  await expect(page.getByText("Events can hold personal data")).toBeVisible();
  await page.getByRole("button", { name: "Add it and turn it on" }).click();
  await page.getByRole("button", { name: "Send the event" }).click();
  await expect(page.getByText("It has arrived")).toBeVisible();
  await expect(page.getByLabel("Request body")).toContainText("Hello, Fanfare");
  await expect(page.getByText("x-pendo-signature")).toBeVisible();
  await page.getByRole("link", { name: "See both sides" }).click();
  await expect(page.getByRole("heading", { name: "trackEventReceived" })).toBeVisible();
});

test("a URL of one's own that refuses is said to refuse, and the way back leads to another", async ({ page, fanfare, receiver }) => {
  receiver.status = 500;
  await asAdmin(page, fanfare);
  await page.goto("/start");
  await page.getByRole("radio", { name: "A URL" }).check();
  await page.getByRole("textbox", { name: "URL" }).fill("ftp://example.com/events");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("button", { name: "Add it and turn it on" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "http" })).toBeVisible();
  await page.getByRole("button", { name: "Back" }).click();
  await page.getByRole("textbox", { name: "URL" }).fill(receiver.url);
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("button", { name: "Add it and turn it on" }).click();
  await page.getByRole("button", { name: "Send the event" }).click();
  await expect(page.getByText("Your receiver has not accepted it.")).toBeVisible();
  expect(await fanfare.api<{ data: unknown[] }>("GET", "/webhooks")).toMatchObject({ data: [{ url: receiver.url }] });
});

test("the inspector shows what arrives, and forgets it when asked to", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  const { url } = await fanfare.api<{ url: string }>("GET", "/inspector");
  await page.goto("/inspector");
  await expect(page.getByRole("heading", { name: "Nothing has arrived yet" })).toBeVisible();
  await fanfare.webhook("Inspected", url);
  await fanfare.track("Report exported");
  await page.getByRole("button", { name: /trackEventReceived/ }).click();
  await expect(page.getByLabel("Request body")).toContainText("Report exported");
  await page.getByRole("button", { name: "Forget them" }).click();
  await expect(page.getByRole("heading", { name: "Forgotten" })).toBeVisible();
});
