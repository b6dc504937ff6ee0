import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test as base } from "@playwright/test";
import { ADMIN, complaints, signIn } from "../support/story";
import { Fanfare } from "../support/fanfare";

const PREFIX = "/tools/fanfare";

/** A reverse proxy that takes the prefix off the path, as nginx does. */
function proxy(target: () => string): Promise<Server> {
  const server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? "";
    if (!path.startsWith(`${PREFIX}/`)) return void outgoing.writeHead(404).end("not below the path");
    const { method, headers } = incoming;
    const passed = request(target() + path.slice(PREFIX.length), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    incoming.pipe(passed);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => { resolve(server); }));
}

/** An installation behind such a proxy, and where browsers find it. */
const test = base.extend<{ proxied: { fanfare: Fanfare; url: string } }>({
  proxied: async ({}, use) => {
    let target = "";
    const server = await proxy(() => target);
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${PREFIX}`;
    const fanfare = await Fanfare.start([], url);
    target = fanfare.url;
    await use({ fanfare, url });
    await fanfare.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  },
});

test("the console works below a path of a proxy", async ({ page, proxied: { fanfare, url } }) => {
  const said = complaints(page);
  expect(fanfare.keys.setup_url).toContain(`${PREFIX}/setup?token=`);
  await page.goto(fanfare.keys.setup_url);
  await page.getByLabel("Your name").fill(ADMIN.name);
  await page.getByLabel("E-mail address").fill(ADMIN.email);
  await page.getByRole("textbox", { name: "Password" }).fill(ADMIN.password);
  await page.getByRole("button", { name: "Create the account" }).click();
  await page.getByRole("link", { name: "Add Webhook" }).click();
  await expect(page).toHaveURL(`${url}/webhooks/new`);
  await page.reload();
  await expect(page.getByRole("heading", { name: "Add Webhook" })).toBeVisible();
  await page.context().clearCookies();
  await page.goto(`${url}/events`);
  await signIn(page, ADMIN);
  await expect(page).toHaveURL(new RegExp(`${PREFIX}/events`));
  expect(said).toEqual([]);
});
