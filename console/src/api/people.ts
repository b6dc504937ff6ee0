import { useQuery } from "@tanstack/react-query";
import { api, ask } from "./client";
import { useList } from "./queries";

export type Kind = "visitor" | "account";

const PAGE = 100;

/** Visitors or accounts whose ids begin so. */
export function usePeople(kind: Kind, prefix: string) {
  const path = kind === "visitor" ? "/api/v1/visitors" : "/api/v1/accounts";
  return useList([`${kind}s`, "list", prefix], (cursor) =>
    ask(api.GET(path, { params: { query: { limit: PAGE, ...(prefix === "" ? {} : { prefix }), ...(cursor ? { cursor } : {}) } } })),
  );
}

export function useVisitor(id: string) {
  return useQuery({ queryKey: ["visitors", id], queryFn: () => ask(api.GET("/api/v1/visitors/{id}", { params: { path: { id } } })) });
}

export function useAccount(id: string) {
  return useQuery({ queryKey: ["accounts", id], queryFn: () => ask(api.GET("/api/v1/accounts/{id}", { params: { path: { id } } })) });
}

export const FORGET_JOBS = ["forget-jobs"] as const;

/** Jobs that forget somebody; read again soon while one is not done. */
export function useForgetJobs() {
  return useQuery({
    queryKey: FORGET_JOBS,
    queryFn: () => ask(api.GET("/api/v1/forget-jobs")),
    refetchInterval: ({ state }) => (state.data?.data.some((job) => job.state !== "done") ? 1_000 : 30_000),
  });
}
