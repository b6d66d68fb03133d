import { take } from "@brandos/sdk";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Icon, type IconName } from "../../ui/Icon.tsx";
import { formatMoney } from "../../ui/money.ts";
import { useApi } from "../api.tsx";
import { useLive } from "../live.tsx";
import { Loaded } from "../parts/Loaded.tsx";
import { Panel } from "../parts/Page.tsx";
import { Json, words } from "../parts/show.tsx";
import type { TimelineEntry, TimelineKind } from "../types.ts";

const kinds: readonly {
  readonly kind: TimelineKind;
  readonly name: string;
  readonly icon: IconName;
}[] = [
  { kind: "request", name: "Requests", icon: "request" },
  { kind: "transaction", name: "Transactions", icon: "transaction" },
  { kind: "event", name: "Events", icon: "events" },
  { kind: "saga", name: "Saga", icon: "sagas" },
  { kind: "saga_step", name: "Saga steps", icon: "sagas" },
  { kind: "payment", name: "Payment", icon: "payments" },
  { kind: "ledger", name: "Ledger", icon: "ledger" },
  { kind: "job", name: "Jobs", icon: "jobs" },
];

/** The whole story of an order, live. */
export function Timeline({ orderId }: { readonly orderId: string }) {
  const api = useApi();
  const [hidden, setHidden] = useState<ReadonlySet<TimelineKind>>(new Set());
  const [openedAt] = useState(() => Date.now());
  const story = useQuery({
    queryKey: ["order", orderId, "timeline"],
    queryFn: async () => {
      const path = { id: orderId };
      const page = await take(api.GET("/v1/orders/{id}/timeline", { params: { path } }));
      return causeFirst(page.items as readonly TimelineEntry[]);
    },
    // Steps and jobs move without events: while something is under way, look again.
    refetchInterval: ({ state }) => (isUnderWay(state.data) ? 1_000 : false),
  });
  useFollowing(orderId);
  const { state } = useLive();
  const toggle = (kind: TimelineKind) => {
    const next = new Set(hidden);
    if (!next.delete(kind)) next.add(kind);
    setHidden(next);
  };
  return (
    <Panel
      title="Timeline"
      flush
      mark={state === "open" && <span className="live live-open">Live</span>}
      actions={<Chips entries={story.data ?? []} hidden={hidden} toggle={toggle} />}
    >
      <Loaded query={story}>
        {(entries) => (
          <ol className="story" aria-label="Timeline">
            {inChapters(entries.filter(({ kind }) => !hidden.has(kind))).map((told) => (
              <Entry
                key={keyOf(told.entry)}
                told={told}
                isNew={Date.parse(told.entry.at) > openedAt}
              />
            ))}
          </ol>
        )}
      </Loaded>
    </Panel>
  );
}

/**
 * Begins with the request: it is dated by the first event that it caused, and entries stamped while
 * that event waited for its batch are older.
 */
function causeFirst(entries: readonly TimelineEntry[]): readonly TimelineEntry[] {
  const cause = entries.find(({ kind }) => kind === "request");
  const first = entries[0];
  if (!cause || !first || cause === first) return entries;
  return [{ ...cause, at: first.at }, ...entries.filter((entry) => entry !== cause)];
}

/** An entry, and where in the story it stands. */
interface Told {
  readonly entry: TimelineEntry;
  /** Since its chapter began, milliseconds. */
  readonly sinceMs: number;
  /** Since the chapter before ended, milliseconds; only for the first entry of a later chapter. */
  readonly laterMs?: number;
}

/** A pause as long as this begins a new chapter: somebody asked for something else. */
const chapterPauseMs = 10_000;

function inChapters(entries: readonly TimelineEntry[]): readonly Told[] {
  let chapterAt = 0;
  let lastAt = 0;
  return entries.map((entry, index) => {
    const at = Date.parse(entry.at);
    const pauseMs = at - lastAt;
    const isFirst = index === 0 || pauseMs > chapterPauseMs;
    lastAt = at;
    if (!isFirst) return { entry, sinceMs: at - chapterAt };
    chapterAt = at;
    return { entry, sinceMs: 0, ...(index === 0 ? {} : { laterMs: pauseMs }) };
  });
}

/** Reads the story again when an event names the order. */
function useFollowing(orderId: string): void {
  const queries = useQueryClient();
  const { events } = useLive();
  const newest = events.find(
    ({ stream, data }) => stream.endsWith(orderId) || JSON.stringify(data).includes(orderId),
  )?.id;
  useEffect(() => {
    if (newest) void queries.invalidateQueries({ queryKey: ["order", orderId] });
  }, [newest, orderId, queries]);
}

function isUnderWay(entries: readonly TimelineEntry[] | undefined): boolean {
  if (!entries) return false;
  const sagas = entries.filter(({ kind }) => kind === "saga");
  const pending = entries.some(
    ({ kind, title }) => kind === "job" && /(ready|running|scheduled)$/.test(title),
  );
  // Each run has a beginning, and an end once it is over.
  return pending || sagas.length % 2 === 1;
}

function keyOf({ kind, at, title, detail, requestId }: TimelineEntry): string {
  return `${kind}/${detail["id"] ?? detail["transactionId"] ?? requestId}/${title}/${at}`;
}

function Chips(props: {
  readonly entries: readonly TimelineEntry[];
  readonly hidden: ReadonlySet<TimelineKind>;
  readonly toggle: (kind: TimelineKind) => void;
}) {
  const { entries, hidden, toggle } = props;
  const present = kinds.filter(({ kind }) => entries.some((entry) => entry.kind === kind));
  return (
    <span className="chips">
      {present.map(({ kind, name }) => (
        <button
          key={kind}
          type="button"
          className="chip"
          aria-pressed={!hidden.has(kind)}
          onClick={() => toggle(kind)}
        >
          {name}
        </button>
      ))}
    </span>
  );
}

interface EntryProps {
  readonly told: Told;
  /** Happened while somebody watched. */
  readonly isNew: boolean;
}

function Entry({ told, isNew }: EntryProps) {
  const { entry, sinceMs, laterMs } = told;
  const { kind, title, detail, at } = entry;
  const known = kinds.find((candidate) => candidate.kind === kind);
  const isBad = /fail|stuck|declin|dead|undone|compensat/i.test(title);
  return (
    <li
      className={`kind-${kind} ${isBad ? "bad" : ""} ${isNew ? "fresh" : ""} ${laterMs === undefined ? "" : "chapter"}`}
    >
      <span className="when" title={new Date(at).toISOString()}>
        {laterMs === undefined ? elapsed(sinceMs) : later(laterMs)}
      </span>
      <span className="dot" title={known?.name}>
        <Icon name={known?.icon ?? "events"} size={14} />
      </span>
      <details>
        <summary>
          <b>{sayTitle(entry)}</b>
          <small>{sayDetail(entry)}</small>
        </summary>
        <Json value={{ at, requestId: entry.requestId, ...detail }} />
      </details>
    </li>
  );
}

function elapsed(ms: number): string {
  if (ms < 1_000) return `+${Math.round(ms)} ms`;
  return ms < 60_000 ? `+${(ms / 1_000).toFixed(1)} s` : `+${Math.round(ms / 60_000)} min`;
}

function later(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 1_000)} s later`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min later`;
  return ms < 172_800_000
    ? `${Math.round(ms / 3_600_000)} h later`
    : `${Math.round(ms / 86_400_000)} d later`;
}

function sayTitle({ kind, title }: TimelineEntry): string {
  return kind === "saga_step" || kind === "payment" || kind === "request" ? words(title) : title;
}

function sayDetail({ kind, detail, requestId }: TimelineEntry): string {
  const text = (name: string) => (detail[name] === undefined ? "" : String(detail[name]));
  if (kind === "request") return `request …${(requestId ?? "").slice(-8)}`;
  if (kind === "transaction") return (detail["types"] as readonly string[]).join(", ");
  if (kind === "event") return text("stream").replace(/[0-9a-f-]{28}([0-9a-f]{8})$/, "…$1");
  if (kind === "saga_step") {
    const attempts = Number(detail["attempts"]);
    return `${text("elapsedMs")} ms${attempts > 1 ? `, ${attempts} attempts` : ""}`;
  }
  if (kind === "payment") {
    const amount = formatMoney(Number(detail["amountMinor"]), text("currency"));
    return [amount, text("provider"), text("failureCode")].filter(Boolean).join(" · ");
  }
  if (kind === "ledger") return sayEntries(detail["entries"]);
  if (kind === "job" && Number(detail["attempt"]) > 1) return `attempt ${text("attempt")}`;
  return "";
}

interface LedgerEntry {
  readonly account: string;
  readonly amountMinor: number;
  readonly currency: string;
}

function sayEntries(entries: unknown): string {
  return (entries as readonly LedgerEntry[])
    .map(({ account, amountMinor, currency }) => `${account} ${formatMoney(amountMinor, currency)}`)
    .join(" · ");
}
