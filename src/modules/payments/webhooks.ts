import { createHash } from "node:crypto";
import type { Context } from "../../kernel/context.ts";
import { isId, type TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import { type Coalescer, createCoalescer } from "../../platform/coalescer/coalescer.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { writeEvents } from "../../platform/events/events.ts";
import { advancePayments } from "./advance.ts";
import type { IncomingWebhook, PaymentId, WebhookFailure } from "./contract.ts";
import { type Kit, moneyWork } from "./deps.ts";
import { letterEvent } from "./events.ts";
import type { ProviderEvent } from "./provider.ts";
import { eventKey, insertDeadLetters, type NewProviderEvent, rememberEvents } from "./store.ts";

/** What became of a notice. */
export interface Receipt {
  readonly isDuplicate: boolean;
}

/** A verified notice on its way into the database. */
interface Arrival {
  readonly ctx: Context;
  readonly notice: NewProviderEvent;
  readonly event: ProviderEvent;
}

/** Takes in notices of providers; those of one tenant that arrive together share a transaction. */
export type ReceiveWebhook = (
  ctx: Context,
  webhook: IncomingWebhook,
) => Promise<Result<Receipt, WebhookFailure>>;

/** Makes the receiver. See `Payments.receiveWebhook`. */
export function createReceiver(kit: Kit): ReceiveWebhook {
  const arrivals: Coalescer<Arrival, Receipt> = createCoalescer({
    name: "payments.webhooks",
    batchMax: 100,
    inFlightMax: 2,
    waitingMax: 10_000,
    run: (tenantId, items) => takeIn(kit, tenantId as TenantId, items),
  });
  return async (ctx, webhook) => {
    const read = readWebhook(kit, ctx, webhook);
    if (!read.ok) return read;
    return ok(await arrivals.submit(ctx.tenantId, read.value));
  };
}

function readWebhook(
  kit: Kit,
  ctx: Context,
  webhook: IncomingWebhook,
): Result<Arrival, WebhookFailure> {
  const provider = kit.providerOf(webhook.provider);
  if (!provider.ok) return provider;
  const { body, header } = webhook;
  const parsed = provider.value.parseWebhook({ body, header, now: kit.clock() });
  if (!parsed.ok) return parsed;
  const event = parsed.value;
  const { eventId, type, snapshot } = event;
  if (event.tenantId !== ctx.tenantId) {
    return fail({ code: "payments.bad_webhook", reason: "for another account" });
  }
  if (!isId(snapshot.paymentId)) {
    return fail({ code: "payments.bad_webhook", reason: "not an id of ours" });
  }
  const bodySha256 = createHash("sha256").update(body).digest("hex");
  const { paymentId } = snapshot;
  const notice = { provider: webhook.provider, eventId, type, paymentId, bodySha256 };
  return ok({ ctx, notice, event });
}

function takeIn(
  kit: Kit,
  tenantId: TenantId,
  arrivals: readonly Arrival[],
): Promise<readonly Receipt[]> {
  const firsts = new Map<string, Arrival>();
  for (const arrival of arrivals) {
    const key = eventKey(arrival.notice);
    if (!firsts.has(key)) firsts.set(key, arrival);
  }
  const work = async (tx: TenantTx): Promise<readonly Receipt[]> => {
    const distinct = [...firsts.values()];
    const known = await rememberEvents(
      tx,
      distinct.map(({ notice }) => notice),
    );
    const fresh = distinct.filter(({ notice }) => !known.has(eventKey(notice)));
    reportMismatches(tx, arrivals, (key) => known.get(key) ?? firsts.get(key)?.notice.bodySha256);
    const [first] = fresh;
    if (first) {
      const observations = fresh.map(({ ctx, event }) => ({
        snapshot: event.snapshot,
        calls: [{ call: "webhook", outcome: "answered", elapsedMs: 0 }] as const,
        origin: ctx,
      }));
      const advances = await advancePayments(kit, tx, first.ctx, observations);
      await kit.onAdvanced?.(tx, first.ctx, advances);
    }
    await kit.reach("payments.before_record");
    const taken = new Set<Arrival>(fresh);
    return arrivals.map((arrival) => ({ isDuplicate: !taken.has(arrival) }));
  };
  return kit.db.commit(tenantId, work, { ...moneyWork, name: "payments.webhooks" });
}

/** One event id for two different bodies: one of them is lost, so a person has to look. */
function reportMismatches(
  tx: TenantTx,
  arrivals: readonly Arrival[],
  firstHash: (key: string) => string | undefined,
): void {
  const differing = arrivals.filter(
    ({ notice }) => firstHash(eventKey(notice)) !== notice.bodySha256,
  );
  if (differing.length === 0) return;
  const letters = differing.map(({ ctx, event, notice }) => ({
    ctx,
    letter: {
      paymentId: event.snapshot.paymentId as PaymentId,
      kind: "event_mismatch" as const,
      detail: { provider: notice.provider, eventId: notice.eventId, snapshot: event.snapshot },
    },
  }));
  insertDeadLetters(
    tx,
    letters.map(({ letter }) => letter),
  );
  writeEvents(
    tx,
    letters.map(({ ctx, letter }) => ({ origin: ctx, event: letterEvent(letter) })),
  );
}
