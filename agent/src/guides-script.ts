/** What shows guides, as a script of its own: loaded by the agent's script when there is a guide to show. */
import { present } from "./guides/present.js";

const page = window as unknown as { fanfare?: { _present?: typeof present } };
(page.fanfare ??= {})._present = present;
