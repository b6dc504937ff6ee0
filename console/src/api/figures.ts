import { useQuery } from "@tanstack/react-query";
import { api, ask, type Schemas } from "./client";

export type Figures = Schemas["FiguresJson"];

/** How a webhook did in the last 24 hours, in steps of so many minutes. */
export function useFigures(id: string, stepMin: number, isShown = true) {
  return useQuery({
    queryKey: ["figures", id, stepMin],
    queryFn: () => ask(api.GET("/api/v1/webhooks/{id}/figures", { params: { path: { id }, query: { step_min: stepMin } } })),
    // A webhook's first figures are awaited.
    refetchInterval: ({ state }) => (state.data?.data.length === 0 ? 10_000 : 60_000),
    staleTime: 30_000,
    enabled: isShown,
  });
}
