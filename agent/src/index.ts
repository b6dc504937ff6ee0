/** The agent as a module, for applications that are bundled. */
import { create, type Fanfare } from "./agent.js";
import { browser } from "./browser.js";

export type { Labels } from "./guides.js";
export type { EventName, Fanfare, InitializeOptions, Listener, Options } from "./agent.js";
export type { Fields, Named } from "./who.js";

/** A bundler puts what shows guides into a file of its own, which is loaded when there is one. */
async function presenter() {
  return (await import("./guides/present.js")).present;
}

/** The page's agent. Where there is no page, as in a server that renders some, its calls do nothing. */
export const fanfare: Fanfare = create(typeof window === "undefined" ? null : browser(window, presenter));
