import { Tooltip } from "@mantine/core";
import { formatMoney } from "../../ui/money.ts";
import { useNow } from "./use-now.ts";

const tones: Readonly<Record<string, string>> = {
  paid: "good",
  completed: "good",
  captured: "good",
  succeeded: "good",
  active: "good",
  published: "good",
  done: "good",
  finished: "good",
  fulfilled: "info",
  authorised: "info",
  confirmed: "info",
  running: "info",
  ready: "info",
  scheduled: "info",
  provisioning: "info",
  pending: "warn",
  draft: "warn",
  requires_action: "warn",
  compensating: "warn",
  partially_refunded: "warn",
  partially_captured: "warn",
  suspended: "warn",
  waiting: "warn",
  dead: "bad",
  failed: "bad",
  stuck: "bad",
  cancelled: "bad",
  erasing: "bad",
  lost: "bad",
};

/** A state as a small word with a colour. */
export function Status({ value }: { readonly value: string }) {
  const tone = tones[value] ?? "";
  return <span className={`status ${tone && `status-${tone}`}`}>{words(value)}</span>;
}

/** Turns `partially_refunded` into "Partially refunded". */
export function words(value: string): string {
  const text = value.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** An amount. */
export function Money(props: { readonly of: { amountMinor: number; currency: string } }) {
  const { amountMinor, currency } = props.of;
  return <span className="number">{formatMoney(amountMinor, currency)}</span>;
}

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "narrow" });
const dated = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const precise = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "long",
});

/** A time: how long ago when it is near, else the date; exactly on hover. */
export function Time({ at }: { readonly at: string | undefined | null }) {
  const now = useNow();
  if (!at) return <span className="muted">–</span>;
  const date = new Date(at);
  return (
    <Tooltip label={precise.format(date)} withArrow openDelay={300}>
      <time dateTime={at}>{say(date, now)}</time>
    </Tooltip>
  );
}

function say(date: Date, now: number): string {
  const seconds = Math.round((date.getTime() - now) / 1_000);
  const distance = Math.abs(seconds);
  if (distance < 5) return "now";
  if (distance < 60) return relative.format(seconds, "second");
  if (distance < 3_600) return relative.format(Math.trunc(seconds / 60), "minute");
  if (distance < 86_400) return relative.format(Math.trunc(seconds / 3_600), "hour");
  return dated.format(date);
}

/** The end of an id: enough to tell them apart, all of it on hover. */
export function ShortId({ id }: { readonly id: string }) {
  return (
    <span className="mono" title={id}>
      …{id.slice(-8)}
    </span>
  );
}

/** Data as it is. */
export function Json({ value }: { readonly value: unknown }) {
  return <pre className="code">{JSON.stringify(value, null, 2)}</pre>;
}

/** Names and values. */
export function Facts({ of }: { readonly of: Readonly<Record<string, React.ReactNode>> }) {
  const given = Object.entries(of).filter(([, value]) => value !== undefined && value !== null);
  return (
    <dl className="facts">
      {given.map(([name, value]) => (
        <div key={name} style={{ display: "contents" }}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
