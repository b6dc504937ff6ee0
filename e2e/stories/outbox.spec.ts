import { ADMIN, expect, test } from "../support/story";
import { Fanfare } from "../support/fanfare";

test("an admin sees what became of an invitation", async ({ page, fanfare, mailbox }) => {
  const token = new URL(fanfare.keys.setup_url).searchParams.get("token");
  await page.request.post("/api/v1/set-up", { data: { token, ...ADMIN } });
  await page.goto("/mails");
  await expect(page.getByRole("heading", { name: "No mail" })).toBeVisible();
  await fanfare.api("POST", "/users", { email: "mia@example.com", name: "Mia", role: "member" });
  await mailbox.link("invitation");
  await page.reload();
  await expect(page.getByRole("row", { name: /mia@example.com/ })).toContainText("sent");
});

test("without a mail server mail waits, and the page says so", async ({ page }) => {
  const fanfare = await Fanfare.start();
  const token = new URL(fanfare.keys.setup_url).searchParams.get("token");
  await page.request.post(`${fanfare.url}/api/v1/set-up`, { data: { token, ...ADMIN } });
  await fanfare.api("POST", "/users", { email: "mia@example.com", name: "Mia", role: "member" });
  await page.goto(`${fanfare.url}/mails`);
  await expect(page.getByRole("row", { name: /mia@example.com/ })).toContainText("is a mail server set?");
  await page.getByRole("button", { name: /Send now/ }).click();
  await expect(page.getByRole("row", { name: /mia@example.com/ })).toContainText("waiting");
  await fanfare.stop();
});
