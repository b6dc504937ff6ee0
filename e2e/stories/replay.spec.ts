import { asAdmin, expect, test } from "../support/story";

/** A moment as an input of a date and a time takes it. */
function local(at: Date): string {
  const two = (number: number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

test("a stretch of time is sent once more, watched to its end; another replay is cancelled", async ({ page, fanfare, receiver }) => {
  const id = await fanfare.webhook("CRM", receiver.url);
  for (let number = 1; number <= 5; number += 1) await fanfare.track(`Report ${number}`);
  await receiver.got("Report 5");
  await asAdmin(page, fanfare);
  await page.goto(`/webhooks/${id}?tab=replays`);
  await page.getByRole("combobox", { name: "Which" }).click();
  await page.getByRole("option", { name: "Everything of a time" }).click();
  await page.getByLabel("From").fill(local(new Date(Date.now() - 3_600_000)));
  const before = receiver.requests.length;
  await page.getByRole("button", { name: "Send again" }).click();
  await expect(page.getByText("5 sent, 5 delivered, 0 failed")).toBeVisible();
  await expect(page.getByRole("img", { name: "100 % done" })).toBeVisible();
  expect(receiver.requests.slice(before).map(({ body }) => body).sort()).toEqual(receiver.requests.slice(0, before).map(({ body }) => body).sort());

  // A receiver that does not accept keeps the second one at work.
  receiver.status = 503;
  await page.getByRole("button", { name: "Send again" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("cancelled", { exact: true })).toBeVisible();
  await expect(page.getByRole("button", { name: "Cancel" })).toHaveCount(0);
});
