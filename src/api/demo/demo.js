/** The demo page: an application that uses the agent as any other would. */
"use strict";

const find = (id) => document.getElementById(id);
const text = (form, name) => form.elements.namedItem(name).value.trim();
const KEPT = "fanfare.demo";

/** Who the page says is here, kept as long as the tab is. */
function who() {
  const form = find("who");
  const [visitor, account] = [text(form, "visitor"), text(form, "account")];
  sessionStorage.setItem(KEPT, JSON.stringify({ visitor, account }));
  return { visitor: { id: visitor, page: "demo" }, account: { id: account } };
}

function say(event, detail) {
  const line = document.createElement("li");
  const code = document.createElement("code");
  code.textContent = JSON.stringify(detail);
  line.append(`${new Date().toLocaleTimeString()} ${event} `, code);
  find("log").prepend(line);
}

function show() {
  const account = fanfare.getAccountId();
  find("now").textContent = fanfare.getVisitorId() + (account === "" ? "" : ` of ${account}`);
}

function become(names) {
  const form = find("who");
  for (const [name, value] of Object.entries(names)) form.elements.namedItem(name).value = value;
  fanfare.identify(who());
  show();
}

function start() {
  const form = find("who");
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? '{"visitor":"ada@example.com","account":"acme"}');
  for (const [name, value] of Object.entries(kept)) form.elements.namedItem(name).value = value;

  for (const event of ["ready", "guidesLoaded", "guideSeen", "pollResponse"]) {
    fanfare.events.on(event, (detail) => { say(event, detail); });
  }
  fanfare.events.on("guidesLoaded", ({ guideIds }) => { find("none").hidden = guideIds.length > 0; });
  fanfare.initialize(who());
  show();

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    become({});
  });
  find("other").addEventListener("click", () => {
    become({ visitor: `visitor-${Math.random().toString(36).slice(2, 8)}@example.com` });
  });
  find("track").addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = find("wrong");
    try {
      const properties = JSON.parse(text(event.target, "properties") || "{}");
      fanfare.track(text(event.target, "name"), properties);
      void fanfare.flushNow();
      say("track", { name: text(event.target, "name"), properties });
      wrong.hidden = true;
    } catch {
      wrong.textContent = 'The properties must be a JSON object, like {"pages": 3}.';
      wrong.hidden = false;
    }
  });
}

if (window.fanfare?.initialize === undefined) find("missing").hidden = false;
else start();
