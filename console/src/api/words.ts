/** The categories, as people read them. */
export const CATEGORIES: Record<string, string> = {
  guides: "Guides",
  polls: "Polls",
  nps: "NPS",
  track_events: "Track events",
  visitors: "Visitors",
  accounts: "Accounts",
};

/** The names of all events. */
export const EVENTS = [
  "guideDisplayed",
  "pollDisplayed",
  "pollSubmitted",
  "npsDisplayed",
  "npsSubmitted",
  "visitorCreated",
  "accountCreated",
  "trackEventReceived",
] as const;
