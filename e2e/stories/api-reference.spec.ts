import { asAdmin, expect, test } from "../support/story";

test("the API reference is found in the menu and tells of a call what it takes", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  await page.goto("/");
  await page.getByRole("button", { name: "Your account" }).click();
  await page.getByRole("menuitem", { name: "API reference" }).click();
  await page.getByText("/api/v1/webhooks/try-filter").click();
  await expect(page.getByText(/Looks at the last 100 events/).last()).toBeVisible();
  // Back among the other pages, everything is as before.
  await page.getByRole("link", { name: "Integrations" }).click();
  await expect(page.getByRole("heading", { name: "No webhooks yet" })).toBeVisible();
});
