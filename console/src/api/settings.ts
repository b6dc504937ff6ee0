import { api, ask } from "./client";
import { useList } from "./queries";

/** The lists of the settings, each read page by page. */
export const LISTS = { users: ["users"], keys: ["keys"], apps: ["apps"], exclusions: ["exclusions"], audit: ["audit-log"], mails: ["mails"] } as const;

const PAGE = 100;

export function useExclusions() {
  return useList(LISTS.exclusions, (cursor) =>
    ask(api.GET("/api/v1/exclusions", { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } })),
  );
}

/** Mail to the subscription's people; read again while some of it waits. */
export function useMails() {
  return useList(
    LISTS.mails,
    (cursor) => ask(api.GET("/api/v1/mails", { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } })),
    10_000,
  );
}

export function useAuditLog(action: string | undefined) {
  return useList([...LISTS.audit, action], (cursor) =>
    ask(
      api.GET("/api/v1/audit-log", {
        params: { query: { limit: PAGE, ...(action ? { action } : {}), ...(cursor ? { cursor } : {}) } },
      }),
    ),
  );
}
