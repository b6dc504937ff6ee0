import { keepPreviousData, QueryClient, useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, ask, Refusal, type Schemas, keepToken } from "./client";

/** One client for the whole page: what was read is shown at once and read again in the background. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (count, error) => !(error instanceof Refusal && error.problem.status < 500) && count < 2,
    },
    mutations: { retry: false },
  },
});

interface Page<T> {
  data: T[];
  next?: string | null;
}

/** A list that is read page by page; `key` holds everything that the pages depend on. */
export function useList<P extends Page<unknown>>(
  key: readonly unknown[],
  read: (cursor: string | undefined) => Promise<P>,
  refetchMs?: number,
) {
  const list = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => read(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
    ...(refetchMs === undefined ? {} : { refetchInterval: refetchMs }),
  });
  const rows = list.data?.pages.flatMap((page) => page.data) ?? [];
  return { ...list, rows: rows as P["data"] };
}

/** Who is signed in; null when nobody is. */
export async function readSession(): Promise<Schemas["Session"] | null> {
  try {
    const session = await ask(api.GET("/api/v1/session"));
    keepToken(session.csrf_token);
    return session;
  } catch (error) {
    if (error instanceof Refusal && error.problem.status === 401) return null;
    throw error;
  }
}

/** Who is signed in. */
export function useSession() {
  return useQuery({ queryKey: ["session"], queryFn: readSession, staleTime: 60_000 });
}

/** Whether the one who is signed in may change things. */
export function useIsAdmin(): boolean {
  return useSession().data?.user.role === "admin";
}

/** A change, after which what depends on it is read again. */
export function useChange<In, Out>(change: (input: In) => Promise<Out>, ...touched: (readonly unknown[])[]) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: async () => {
      await Promise.all(touched.map((queryKey) => client.invalidateQueries({ queryKey })));
    },
  });
}
