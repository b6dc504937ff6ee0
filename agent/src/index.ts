/** The agent as a module, for applications that are bundled. */
import { create, type Fanfare } from "./agent.js";
import { browser } from "./browser.js";

export type { EventName, Fanfare, InitializeOptions, Listener, Options } from "./agent.js";
export type { Fields, Named } from "./who.js";

/** The page's agent. Where there is no page, as in a server that renders some, its calls do nothing. */
export const fanfare: Fanfare = create(typeof window === "undefined" ? null : browser(window));
