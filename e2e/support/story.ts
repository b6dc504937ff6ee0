import { expect, type Page, test as base } from "@playwright/test";
import { Fanfare } from "./fanfare";
import { Mailbox } from "./mailbox";
import { Receiver } from "./receiver";

export const ADMIN = { name: "Ada Admin", email: "ada@example.com", password: "correct horse battery staple" };

interface Story {
  /** Further settings of the server. */
  flags: string[];
  fanfare: Fanfare;
  receiver: Receiver;
  mailbox: Mailbox;
  /** Fails the story when the page said that something is wrong with it. */
  clean: undefined;
}

/** A story: a browser, a server, and where its webhooks and its mails go. */
export const test = base.extend<Story>({
  flags: [[], { option: true }],
  mailbox: async ({}, use) => {
    const mailbox = await Mailbox.start();
    await use(mailbox);
    await mailbox.stop();
  },
  fanfare: async ({ flags, mailbox }, use) => {
    const fanfare = await Fanfare.start([...mailbox.flags, ...flags]);
    await use(fanfare);
    await fanfare.stop();
  },
  receiver: async ({}, use) => {
    const receiver = await Receiver.start();
    await use(receiver);
    await receiver.stop();
  },
  baseURL: async ({ fanfare }, use) => {
    await use(fanfare.url);
  },
  clean: [
    async ({ page }, use) => {
      const said = complaints(page);
      await use(undefined);
      expect(said).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** What a page says when something in it breaks: a refusal of its security policy too. That a call was refused is no such thing. */
export function complaints(page: Page): string[] {
  const said: string[] = [];
  page.on("pageerror", (error) => said.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) said.push(message.text());
  });
  return said;
}

/** Makes the first admin, who is signed in in this browser from then on. */
export async function asAdmin(page: Page, fanfare: Fanfare): Promise<void> {
  const token = new URL(fanfare.keys.setup_url).searchParams.get("token");
  const answer = await page.request.post(`${fanfare.url}/api/v1/set-up`, { data: { token, ...ADMIN } });
  expect(answer.status()).toBe(201);
}

/** Signs in with the form. */
export async function signIn(page: Page, { email, password }: { email: string; password: string }): Promise<void> {
  await page.getByLabel("E-mail address").fill(email);
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}
