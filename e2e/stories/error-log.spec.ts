import { until } from "../support/fanfare";
import { Receiver } from "../support/receiver";
import { asAdmin, expect, test as story } from "../support/story";

const test = story.extend<{ other: Receiver }>({
  other: async ({}, use) => {
    const other = await Receiver.start();
    await use(other);
    await other.stop();
  },
});

test.use({ flags: ["--retry-delays", "50ms"] });

test("the error log is narrowed to a webhook and a status", async ({ page, fanfare, receiver, other }) => {
  receiver.status = 503;
  other.status = 404;
  const busy = await fanfare.webhook("Busy", receiver.url);
  const gone = await fanfare.webhook("Gone", other.url);
  await fanfare.track("unlucky");
  for (const id of [busy, gone]) await until("it has failed", async () => (await fanfare.states(id))[0] === "failed");
  await asAdmin(page, fanfare);
  await page.goto("/error-log");
  const entries = page.getByRole("button", { name: /trackEventReceived/ });
  await expect(entries).toHaveCount(3);

  await page.locator("input").and(page.getByLabel("Webhook")).click();
  await page.getByRole("option", { name: "Gone" }).click();
  await expect(entries).toHaveCount(1);
  await expect(entries.first()).toContainText("404");
  await expect(page).toHaveURL(new RegExp(`webhook=${gone}`));

  await page.goto("/error-log?status=503");
  await expect(entries).toHaveCount(2);
  const started = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download JSON" }).click();
  const file = await (await started).createReadStream();
  const downloaded = JSON.parse((await file.toArray()).join("")) as { status: number }[];
  expect(downloaded.map(({ status }) => status)).toEqual([503, 503]);
  await entries.first().click();
  await page.getByRole("link", { name: "The whole delivery" }).click();
  await expect(page.getByText("Attempt 2")).toBeVisible();
  await page.goto("/error-log?status=418");
  await expect(page.getByRole("heading", { name: "No errors" })).toBeVisible();
});
