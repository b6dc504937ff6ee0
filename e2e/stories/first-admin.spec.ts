import { ADMIN, expect, signIn, test } from "../support/story";

test("the set-up link makes the first admin, who signs in and out", async ({ page, fanfare }) => {
  await page.goto("/");
  await expect(page.getByText("This installation is new")).toBeVisible();

  await page.goto(fanfare.keys.setup_url);
  await page.getByLabel("Your name").fill(ADMIN.name);
  await page.getByLabel("E-mail address").fill(ADMIN.email);
  await page.getByRole("textbox", { name: "Password" }).fill(ADMIN.password);
  await page.getByRole("button", { name: "Create the account" }).click();
  await expect(page.getByRole("heading", { name: "No webhooks yet" })).toBeVisible();

  await page.getByRole("button", { name: "Your account" }).click();
  await expect(page.getByText(ADMIN.email)).toBeVisible();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();

  await signIn(page, { ...ADMIN, password: "not the right one" });
  await expect(page.getByRole("alert")).toBeVisible();
  await signIn(page, ADMIN);
  await expect(page.getByRole("heading", { name: "Integrations" })).toBeVisible();
});

test("the set-up link works once", async ({ page, fanfare }) => {
  const token = new URL(fanfare.keys.setup_url).searchParams.get("token");
  await page.request.post("/api/v1/set-up", { data: { token, ...ADMIN } });
  await page.context().clearCookies();
  await page.goto(fanfare.keys.setup_url);
  await page.getByLabel("Your name").fill("Mallory");
  await page.getByLabel("E-mail address").fill("mallory@example.com");
  await page.getByRole("textbox", { name: "Password" }).fill("another long password");
  await page.getByRole("button", { name: "Create the account" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
});

test("whoever follows a link gets there after signing in", async ({ page, fanfare }) => {
  const token = new URL(fanfare.keys.setup_url).searchParams.get("token");
  await page.request.post("/api/v1/set-up", { data: { token, ...ADMIN } });
  await page.context().clearCookies();
  await page.goto("/events?visitor=ann");
  await signIn(page, ADMIN);
  await expect(page.getByLabel("Visitor")).toHaveValue("ann");
});
