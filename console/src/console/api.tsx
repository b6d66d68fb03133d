import { type BrandosClient, createClient, type Page } from "@brandos/sdk";
import {
  keepPreviousData,
  type QueryClient,
  type QueryKey,
  useInfiniteQuery,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useMemo } from "react";
import { sayProblem } from "../ui/problem.ts";
import { tell } from "./parts/tell.ts";
import type { Account } from "./session.ts";

interface Reach {
  readonly api: BrandosClient;
  readonly account: Account;
}

const ReachContext = createContext<Reach | undefined>(undefined);

/** Gives the rooms a client for the account in use. */
export function ApiProvider(props: { readonly account: Account; readonly children: ReactNode }) {
  const { account, children } = props;
  const reach = useMemo(() => {
    const { key, kind, tenantId } = account;
    const acting = kind === "operator" && tenantId !== undefined ? { tenantId } : {};
    return { account, api: createClient({ key, baseUrl: location.origin, ...acting }) };
  }, [account]);
  return <ReachContext value={reach}>{children}</ReachContext>;
}

function useReach(): Reach {
  const reach = useContext(ReachContext);
  if (!reach) throw new Error("outside of ApiProvider");
  return reach;
}

/** The client of the account in use. */
export function useApi(): BrandosClient {
  return useReach().api;
}

/** The account in use. */
export function useAccount(): Account {
  return useReach().account;
}

/** A list that grows page by page. */
export function usePages<Item>(
  queryKey: QueryKey,
  load: (cursor: string | undefined) => Promise<Page<Item>>,
) {
  const query = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam }) => load(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor,
    // Another filter: the rows stay until the next ones are there.
    placeholderData: keepPreviousData,
  });
  const items = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  return { query, items };
}

/** Something that changes the brand: says how it went, and reads again what it touched. */
export function useChange<Input, Output>(change: {
  readonly run: (input: Input) => Promise<Output>;
  /** Said when it worked. */
  readonly done: string | ((output: Output) => string);
  /** Beginnings of the keys of what has to be read again. */
  readonly touches: readonly QueryKey[];
  readonly onDone?: (output: Output) => void;
}) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change.run,
    onSuccess: (output) => {
      refresh(queries, change.touches);
      tell.success(typeof change.done === "string" ? change.done : change.done(output));
      change.onDone?.(output);
    },
    onError: (error) => tell.failure(sayProblem(error)),
  });
}

function refresh(queries: QueryClient, keys: readonly QueryKey[]): void {
  for (const queryKey of keys) void queries.invalidateQueries({ queryKey });
}
