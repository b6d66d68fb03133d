import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { useApi } from "./api.tsx";
import type { LoggedEvent } from "./types.ts";

interface Live {
  /** Newest first. */
  readonly events: readonly LoggedEvent[];
  readonly state: "open" | "waiting" | "refused";
}

const kept = 300;
const LiveContext = createContext<Live>({ events: [], state: "waiting" });

/** What to read again after events whose type begins with the word. */
const touched: Readonly<Record<string, readonly string[]>> = {
  orders: ["orders", "order", "overview"],
  payments: ["payments", "order"],
  inventory: ["stock", "movements"],
  catalog: ["products", "product"],
  customers: ["customers"],
  ledger: ["ledger"],
  promotions: ["promotions"],
};

/** Follows the brand's events over one connection for all rooms. */
export function LiveProvider({ children }: { readonly children: ReactNode }) {
  const api = useApi();
  const queries = useQueryClient();
  const [events, setEvents] = useState<readonly LoggedEvent[]>([]);
  const [state, setState] = useState<Live["state"]>("waiting");
  const pending = useRef<LoggedEvent[]>([]);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    // A burst of thousands of events must not draw thousands of times.
    const flush = () => {
      timer = undefined;
      const news = pending.current.splice(0).reverse();
      setEvents((known) => [...news, ...known].slice(0, kept));
      const words = new Set(news.flatMap(({ type }) => touched[type.split(".")[0] ?? ""] ?? []));
      for (const word of words) void queries.invalidateQueries({ queryKey: [word] });
    };
    const follow = async () => {
      for await (const { data } of api.events({ signal: abort.signal, onState: setState })) {
        pending.current.push(JSON.parse(data) as LoggedEvent);
        timer ??= setTimeout(flush, 250);
      }
    };
    follow().catch(() => setState("refused"));
    return () => {
      abort.abort();
      clearTimeout(timer);
      pending.current = [];
    };
  }, [api, queries]);
  const live = useMemo(() => ({ events, state }), [events, state]);
  return <LiveContext value={live}>{children}</LiveContext>;
}

/** The newest events, and whether the connection is there. */
export function useLive(): Live {
  return useContext(LiveContext);
}
