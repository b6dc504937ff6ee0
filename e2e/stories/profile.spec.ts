import { ADMIN, asAdmin, expect, signIn, test } from "../support/story";
import { totp } from "../support/totp";

test("somebody turns a second factor on, signs in with it, and off again", async ({ page, fanfare }) => {
  await asAdmin(page, fanfare);
  await page.goto("/");
  await page.getByRole("button", { name: "Your account" }).click();
  await page.getByRole("menuitem", { name: "Your account" }).click();
  const factor = page.getByRole("region", { name: "Second factor" });
  await factor.getByRole("textbox", { name: "Current password" }).fill("not it, not it");
  await factor.getByRole("button", { name: "Turn it on" }).click();
  await expect(factor.getByText("Is wrong.")).toBeVisible();
  await factor.getByRole("textbox", { name: "Current password" }).fill(ADMIN.password);
  await factor.getByRole("button", { name: "Turn it on" }).click();
  const seed = (await factor.getByLabel("The seed as text").textContent()) ?? "";
  await expect(factor.getByRole("img", { name: "The seed for your authenticator app" })).toBeVisible();
  await factor.getByLabel("Code").fill(totp(seed));
  await factor.getByRole("button", { name: "Confirm" }).click();
  const codes = (await factor.getByLabel("Recovery codes").textContent())?.split("\n") ?? [];
  expect(codes.length).toBeGreaterThan(5);
  await factor.getByRole("button", { name: "I have kept them" }).click();
  await expect(factor.getByRole("button", { name: "Turn it off" })).toBeVisible();

  await page.getByRole("button", { name: "Your account" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await signIn(page, ADMIN);
  await page.getByRole("textbox", { name: "Recovery code" }).fill(codes[0] ?? "");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Integrations" })).toBeVisible();
  await page.goto("/profile");
  await factor.getByRole("textbox", { name: "Current password" }).fill(ADMIN.password);
  await factor.getByRole("button", { name: "Turn it off" }).click();
  await expect(factor.getByRole("button", { name: "Turn it on" })).toBeVisible();
});

test("another password holds at once, and sessions elsewhere end", async ({ page, fanfare, browser }) => {
  await asAdmin(page, fanfare);
  const context = await browser.newContext({ baseURL: fanfare.url });
  const other = await context.newPage();
  await other.goto("/profile");
  await signIn(other, ADMIN);
  await expect(other.getByRole("heading", { name: "Your account" })).toBeVisible();

  await page.goto("/profile");
  const password = page.getByRole("region", { name: "Password" });
  await password.getByRole("textbox", { name: "Current password" }).fill(ADMIN.password);
  await password.getByRole("textbox", { name: "Password", exact: true }).fill("another long password");
  await password.getByRole("button", { name: "Change the password" }).click();
  await expect(password.getByRole("status")).toContainText("Changed");
  await other.reload();
  await expect(other.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await context.close();

  await page.getByRole("button", { name: "Sign out everywhere" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await signIn(page, { ...ADMIN, password: "another long password" });
  await expect(page.getByRole("heading", { name: "Integrations" })).toBeVisible();
});

test("another e-mail address is theirs once its link was followed", async ({ page, fanfare, mailbox }) => {
  await asAdmin(page, fanfare);
  await page.goto("/profile");
  const email = page.getByRole("region", { name: "E-mail address" });
  await email.getByRole("textbox", { name: "New e-mail address" }).fill("ada@example.org");
  await email.getByRole("textbox", { name: "Current password" }).fill(ADMIN.password);
  await email.getByRole("button", { name: "Mail the link" }).click();
  await expect(email.getByRole("status")).toContainText("ada@example.org");
  await page.goto(await mailbox.link("email-change"));
  await page.getByRole("button").filter({ hasText: /ddress|onfirm/ }).click();
  await page.goto("/profile");
  await expect(page.getByText("It is ada@example.org.")).toBeVisible();
});
