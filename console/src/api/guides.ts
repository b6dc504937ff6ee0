import { useQuery } from "@tanstack/react-query";
import { api, ask, type Schemas } from "./client";
import { useChange, useList } from "./queries";

export type Guide = Schemas["Guide"];

export const GUIDES = ["guides"] as const;
const KEY = GUIDES;
const PAGE = 100;

export function useGuides(state: string | undefined) {
  return useList([...KEY, "list", state], (cursor) =>
    ask(api.GET("/api/v1/guides", { params: { query: { limit: PAGE, ...(state ? { state } : {}), ...(cursor ? { cursor } : {}) } } })),
  );
}

export function useGuide(id: string) {
  return useQuery({ queryKey: [...KEY, id], queryFn: () => ask(api.GET("/api/v1/guides/{id}", { params: { path: { id } } })) });
}

export function useMakeGuide() {
  return useChange((body: Schemas["GuideInput"]) => ask(api.POST("/api/v1/guides", { body })), KEY);
}

export function useChangeGuide(id: string) {
  return useChange((body: Schemas["GuideInput"]) => ask(api.PATCH("/api/v1/guides/{id}", { params: { path: { id } }, body })), KEY);
}

/** What is done to a guide besides changing it. */
export type Deed = "publish" | "archive" | "reset";

export function useDeed(id: string, deed: Deed) {
  const params = { path: { id } };
  return useChange((): Promise<Guide> => {
    if (deed === "publish") return ask(api.POST("/api/v1/guides/{id}/publish", { params }));
    if (deed === "archive") return ask(api.POST("/api/v1/guides/{id}/archive", { params }));
    return ask(api.POST("/api/v1/guides/{id}/reset", { params, body: {} }));
  }, KEY);
}
