import { useQuery } from "@tanstack/react-query";
import { api, ask, type Schemas } from "./client";
import { useChange, useList } from "./queries";

export type Delivery = Schemas["Delivery"];

export const STATES = ["delivered", "retrying", "failed", "cancelled", "expired"] as const;

/** Empty values of a filter are left out of the query string. */
function chosen(filter: Record<string, string | undefined>) {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined && value !== ""));
}

interface Filter {
  status?: string | undefined;
  event?: string | undefined;
}

const PAGE = 200;

export function useDeliveries(id: string, filter: Filter, refetchMs?: number) {
  return useList(
    ["deliveries", id, filter],
    (cursor) =>
      ask(
        api.GET("/api/v1/webhooks/{id}/deliveries", {
          params: { path: { id }, query: { ...chosen({ ...filter }), limit: PAGE, ...(cursor ? { cursor } : {}) } },
        }),
      ),
    refetchMs,
  );
}

/** A delivery; read again while it is not at its end. */
export function useDelivery(id: string) {
  return useQuery({
    queryKey: ["delivery", id],
    queryFn: () => ask(api.GET("/api/v1/deliveries/{id}", { params: { path: { id } } })),
    refetchInterval: ({ state }) => (state.data === undefined || state.data.status === "retrying" ? 2_000 : false),
  });
}

export function useRedeliver(id: string) {
  return useChange(() => ask(api.POST("/api/v1/deliveries/{id}/redeliver", { params: { path: { id } } })), ["deliveries"]);
}

interface ErrorFilter {
  webhook?: string | undefined;
  event?: string | undefined;
  status?: string | undefined;
}

export function useErrorLog(filter: ErrorFilter) {
  return useList(
    ["error-log", filter],
    (cursor) =>
      ask(
        api.GET("/api/v1/error-log", {
          params: { query: { ...chosen({ ...filter }), limit: PAGE, ...(cursor ? { cursor } : {}) } },
        }),
      ),
    10_000,
  );
}

interface EventFilter {
  visitor?: string | undefined;
  account?: string | undefined;
  event?: string | undefined;
  withheld?: string | undefined;
}

export function useEvents(filter: EventFilter) {
  return useList(
    ["events", filter],
    (cursor) =>
      ask(
        api.GET("/api/v1/events", {
          params: { query: { ...chosen({ ...filter }), limit: PAGE, ...(cursor ? { cursor } : {}) } },
        }),
      ),
    10_000,
  );
}
