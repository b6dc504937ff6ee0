import { until } from "../support/fanfare";
import { asAdmin, expect, test } from "../support/story";

test.use({
  flags: [
    ["--retry-delays", "50ms"],
    ["--turn-off-after-failures", "3"],
    ["--turn-off-after", "1s"],
    ["--turn-off-rate-deliveries", "1000"],
  ].flat(),
});

test("a failing webhook is turned off, reviewed and turned on, and what it has missed is sent", async ({ page, fanfare, receiver }) => {
  await asAdmin(page, fanfare);
  receiver.status = 500;
  const id = await fanfare.webhook("CRM", receiver.url);
  const state = async () => (await fanfare.api<{ state: string }>("GET", `/webhooks/${id}`)).state;
  await page.goto(`/webhooks/${id}`);
  // Failures count over at least a second; each that comes later is one more.
  let number = 0;
  await until("it is turned off", async () => {
    await fanfare.track(`doomed ${(number += 1)}`);
    return (await state()) === "turned_off";
  });
  await expect(page.getByText("This webhook was turned off because its deliveries failed")).toBeVisible();

  receiver.status = 200;
  await fanfare.track("missed meanwhile");
  await page.goto("/webhooks");
  await expect(page.getByText("Turned off: its deliveries failed.")).toBeVisible();
  await expect(page.getByLabel("CRM is off")).toBeDisabled();
  await page.getByRole("link", { name: "Review logs" }).click();
  await expect(page.getByRole("button", { name: /500/ }).first()).toBeVisible();
  await page.getByRole("button", { name: /500/ }).first().click();
  await expect(page.getByLabel("Response body").first()).toContainText("took");

  await expect(page.getByRole("button", { name: /turned off/ })).toBeVisible();

  const turnOn = page.getByRole("button", { name: "Turn on" });
  await expect(turnOn).toBeDisabled();
  await page.getByLabel("I have reviewed the logs, and the receiver is repaired").check();
  await turnOn.click();
  await expect(page.getByRole("heading", { name: "Send events again" })).toBeVisible();
  expect(await state()).toBe("on");

  await page.getByRole("button", { name: "Send again" }).click();
  await receiver.got("missed meanwhile");
  await expect(page.getByText(/([1-9]\d*) sent, \1 delivered, 0 failed/)).toBeVisible();
});
