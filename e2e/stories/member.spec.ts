import { asAdmin, complaints, expect, test } from "../support/story";

test("an invited member reads everything and finds no button that is not for members", async ({ page, fanfare, receiver, mailbox, browser }) => {
  await asAdmin(page, fanfare);
  const id = await fanfare.webhook("CRM", receiver.url);
  await fanfare.track("Seen by members");
  await receiver.got("Seen by members");
  await page.goto("/users");
  await page.getByRole("button", { name: "Invite" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("E-mail address").fill("mia@example.com");
  await dialog.getByLabel("Name").fill("Mia Member");
  await dialog.getByRole("button", { name: "Send the invitation" }).click();

  const context = await browser.newContext({ baseURL: fanfare.url });
  const hers = await context.newPage();
  const said = complaints(hers);
  await hers.goto(await mailbox.link("invitation"));
  await hers.getByRole("textbox", { name: "Password" }).fill("a password of her own");
  await hers.getByRole("button").filter({ hasText: "Join" }).click();
  await expect(hers.getByRole("link", { name: "CRM", exact: true })).toBeVisible();

  await expect(hers.getByRole("link", { name: "Add Webhook" })).toHaveCount(0);
  await expect(hers.getByLabel("CRM is on")).toBeDisabled();
  await expect(hers.getByRole("button", { name: "Delete CRM" })).toHaveCount(0);
  await hers.getByRole("link", { name: "CRM", exact: true }).click();
  await expect(hers.getByRole("link", { name: "trackEventReceived" })).toBeVisible();
  for (const name of ["Turn off", "Edit", "Delete"]) await expect(hers.getByText(name, { exact: true })).toHaveCount(0);
  await hers.getByRole("link", { name: "trackEventReceived" }).click();
  await expect(hers.getByLabel("Request body")).toContainText("Seen by members");
  await expect(hers.getByRole("button", { name: "Send again" })).toHaveCount(0);

  for (const [path, button] of [["/users", "Invite"], ["/keys", "Add key"], ["/apps", "Add app"], ["/exclusions", "Exclude"], ["/guides", "Add guide"], ["/privacy", "Forget"], ["/visitors", "Forget"], ["/mails", "Send now"], ["/inspector", "Forget them"], ["/start", "Next"]] as const) {
    await hers.goto(path);
    await expect(hers.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(hers.getByRole("button", { name: button })).toHaveCount(0);
  }
  await hers.goto(`/webhooks/${id}?tab=replays`);
  await expect(hers.getByText("Nothing was replayed yet")).toBeVisible();
  await expect(hers.getByRole("button", { name: "Send again" })).toHaveCount(0);
  expect(said).toEqual([]);
  await context.close();
});
