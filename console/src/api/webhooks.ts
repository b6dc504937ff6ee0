import { useQuery } from "@tanstack/react-query";
import { api, ask, type Schemas } from "./client";
import { useChange } from "./queries";
import { CATEGORIES } from "./words";

export type Webhook = Schemas["Webhook"];

/** Everything that is shown of webhooks is read again after a change of one. */
export const WEBHOOKS = ["webhooks"] as const;

/** As many as one page of the API holds. */
const PAGE = 500;

/** All webhooks, however many pages that takes. */
async function readAll(): Promise<Webhook[]> {
  const found: Webhook[] = [];
  let cursor: string | null | undefined;
  do {
    const page = await ask(
      api.GET("/api/v1/webhooks", { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } }),
    );
    found.push(...page.data);
    cursor = page.next;
  } while (cursor);
  return found;
}

export function useWebhooks() {
  return useQuery({ queryKey: WEBHOOKS, queryFn: readAll, refetchInterval: 10_000 });
}

export function useWebhook(id: string) {
  return useQuery({
    queryKey: [...WEBHOOKS, id],
    queryFn: () => ask(api.GET("/api/v1/webhooks/{id}", { params: { path: { id } } })),
    refetchInterval: 5_000,
  });
}

export function useToggle(id: string) {
  return useChange(
    (enabled: boolean) => ask(api.PATCH("/api/v1/webhooks/{id}", { params: { path: { id } }, body: { enabled } })),
    WEBHOOKS,
  );
}

export function useDelete(id: string) {
  return useChange(() => ask(api.DELETE("/api/v1/webhooks/{id}", { params: { path: { id } } })), WEBHOOKS);
}

/** What a webhook is told of, in words. */
export function categoriesOf(webhook: Webhook): string {
  if (typeof webhook.categories === "string") return "All event categories";
  return webhook.categories.map((category) => CATEGORIES[category] ?? category).join(", ");
}

/** Where a webhook's events go. */
export function destinationOf(webhook: Webhook): string {
  return webhook.url ?? webhook.endpoint ?? "";
}
