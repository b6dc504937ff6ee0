/** The script as pages get it, in a document of jsdom: what the build makes, behind the snippet of docs/agent.md. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { JSDOM, type DOMWindow } from "jsdom";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Fanfare } from "../src/agent";

interface Sent {
  by: "fetch" | "beacon";
  url: string;
  body: { agentVersion: string; events: Record<string, unknown>[] };
  options?: RequestInit;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const docs = readFileSync(new URL("../../docs/agent.md", import.meta.url), "utf8");
const snippet = /<script>\n([\s\S]*?)<\/script>/.exec(docs)?.[1] ?? "";
let script = "";
const open: DOMWindow[] = [];

beforeAll(async () => {
  const built = await build({ root, logLevel: "silent", build: { write: false } });
  const [output] = [built].flat();
  if (output === undefined || !("output" in output)) throw new Error("the build has made something else");
  script = output.output[0].code;
  expect(script).toContain("fanfare");
});

afterAll(() => { for (const window of open) window.close(); });

function page(): { window: DOMWindow; fanfare: () => Fanfare; load: (src?: string) => void; sent: Sent[] } {
  const { window } = new JSDOM("<!doctype html><head></head>", { url: "https://app.test/orders?secret=1#x", runScripts: "outside-only" });
  open.push(window);
  const sent: Sent[] = [];
  const note = (by: Sent["by"], url: string, body: string, options?: RequestInit) =>
    sent.push({ by, url, body: JSON.parse(body) as Sent["body"], ...(options ? { options } : {}) });
  window.fetch = ((url: string, options: RequestInit) => {
    note("fetch", url, options.body as string, options);
    return Promise.resolve(new Response('{"accepted":1,"rejected":[]}', { status: 200 }));
  });
  window.navigator.sendBeacon = (url, body) => {
    note("beacon", String(url), body as string);
    return true;
  };
  const load = (src?: string) => {
    const element = window.document.querySelector("script");
    if (element === null) throw new Error("the snippet has put no script into the page");
    if (src !== undefined) element.src = src;
    Object.defineProperty(window.document, "currentScript", { value: element, configurable: true });
    window.eval(script);
    Object.defineProperty(window.document, "currentScript", { value: null, configurable: true });
  };
  return { window, fanfare: () => (window as unknown as { fanfare: Fanfare }).fanfare, load, sent };
}

test("the snippet of the documentation queues calls, and the script does them in order", async () => {
  const { window, fanfare, load, sent } = page();
  window.eval(snippet);
  const element = window.document.querySelector("script");
  expect([element?.async, element?.src, element?.dataset.key]).toEqual([true, "https://fanfare.example.com/agent/fanfare.js", "AGENT_KEY"]);
  const before = fanfare();
  const held = before.track.bind(null);
  const heard: string[] = [];
  before.events.on("ready", () => heard.push("ready"));
  before.track("one");
  held("two", { n: 2 });
  expect([before.isReady(), before.getVisitorId(), before.getVersion()]).toEqual([false, "", ""]);
  load();
  expect(fanfare()).toBe(before);
  held("three");
  fanfare().track("four");
  expect([heard, before.isReady(), before.getVisitorId(), before.getAccountId()]).toEqual([["ready"], true, "jane@example.com", "acme"]);
  await fanfare().flushNow();
  expect(sent).toHaveLength(1);
  const [{ by, url, body, options }] = sent as [Sent];
  expect([by, url]).toEqual(["fetch", "https://fanfare.example.com/data/events?key=AGENT_KEY"]);
  expect(options).toMatchObject({ method: "POST", keepalive: true, credentials: "omit" });
  expect(body.agentVersion).toBe(fanfare().getVersion());
  expect(body.events.map(({ type, name }) => name ?? type)).toEqual(["identify", "one", "two", "three", "four"]);
  expect(body.events[0]).toMatchObject({ visitor: { role: "admin" }, account: { plan: "pro" }, url: "https://app.test/orders" });
  expect(window.document.cookie).toBe("");
  expect(window.localStorage.length).toBe(0);
});

test("a snippet or a script that is there twice changes nothing", async () => {
  const { window, fanfare, load, sent } = page();
  window.eval(snippet);
  load();
  window.eval(snippet);
  load();
  fanfare().track("x");
  await fanfare().flushNow();
  expect(window.document.querySelectorAll("script")).toHaveLength(1);
  expect(sent.flatMap(({ body }) => body.events)).toHaveLength(2);
});

test("a server below a path is known by the script's own address", async () => {
  const { window, fanfare, load, sent } = page();
  window.eval(snippet);
  load("https://tools.test/fanfare/agent/fanfare.js?v=2");
  await fanfare().flushNow();
  expect(sent[0]?.url).toBe("https://tools.test/fanfare/data/events?key=AGENT_KEY");
});

test("a page that is hidden hands over what waits", () => {
  const { window, fanfare, load, sent } = page();
  window.eval(snippet);
  load();
  fanfare().track("last words");
  Object.defineProperty(window.document, "visibilityState", { value: "hidden" });
  window.document.dispatchEvent(new window.Event("visibilitychange"));
  window.dispatchEvent(new window.Event("pagehide"));
  expect(sent.map(({ by, body }) => [by, body.events.length])).toEqual([["beacon", 2]]);
});

test("a storage that refuses, and a fetch that throws, are no reason to throw", async () => {
  const { window, fanfare, load } = page();
  Object.defineProperty(window, "localStorage", { get() { throw new Error("SecurityError"); } });
  window.fetch = () => { throw new Error("blocked"); };
  window.eval(snippet);
  load();
  fanfare().identify(null);
  const was = fanfare().getVisitorId();
  fanfare().identify(null);
  expect([was.startsWith("_PENDO_T_"), fanfare().getVisitorId() === was]).toEqual([true, true]);
  fanfare().track("x");
  await fanfare().flushNow();
});
