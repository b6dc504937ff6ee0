import { useQuery } from "@tanstack/react-query";
import { api, ask } from "./client";
import { useChange } from "./queries";

const KEY = ["inspector"] as const;

/** What has arrived at the installation's own receiver, read again while it is looked at. */
export function useInspector() {
  return useQuery({ queryKey: KEY, queryFn: () => ask(api.GET("/api/v1/inspector")), refetchInterval: 1_500 });
}

export function useClearInspector() {
  return useChange(() => ask(api.DELETE("/api/v1/inspector")), KEY);
}
