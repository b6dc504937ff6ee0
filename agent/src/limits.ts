/** Every bound of the agent, with its unit. */

/** Items that wait to be sent. Beyond this the oldest go. */
export const WAITING_ITEMS = 1_000;
/** Bytes of what waits, about: a small part of the 5 MB that a page's storage has. */
export const WAITING_BYTES = 512 * 1024;
/**
 * How long an item may wait. The server knows an item's id again for a day after it has taken it, so within this time an
 * item that is sent twice counts once.
 */
export const WAITING_MS = 23 * 3_600_000;
/** Bytes of one item. A larger one would not fit into what a browser sends while a page is left. */
export const ITEM_BYTES = 32 * 1024;
/** Items of one batch. The server takes 500. */
export const BATCH_ITEMS = 100;
/** Bytes of one batch. Browsers let 64 KiB in all outlive a page. */
export const BATCH_BYTES = 48 * 1024;
/** How long an item waits for others before it is sent. */
export const GATHER_MS = 1_000;
/** How long an answer is awaited. */
export const ANSWER_MS = 30_000;
/** The pause after the first failure; it doubles with each further one. */
export const PAUSE_MS = 1_000;
/** The longest pause, and the pause after an answer that only somebody's change can make better. */
export const LONGEST_PAUSE_MS = 300_000;
/** From when on an item of another page counts as left behind: a page that still runs has sent it or tried to by then. */
export const LEFT_BEHIND_MS = 30_000;
/** How often a guide's place in the page is looked at. */
export const WATCH_MS = 500;
/** For how long a guide is put off. */
export const SNOOZE_MS = 24 * 3_600_000;
/** A page that is shown again asks again for guides, if the last time is at least so long ago. */
export const ASK_AGAIN_MS = 10_000;
/** Events that were tracked before `initialize`. Beyond this the newest are not taken. */
export const EARLY_EVENTS = 100;
/** Characters of an id or a name: the server takes 1 KiB. */
export const NAME_LENGTH = 1_024;
