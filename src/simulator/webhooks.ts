import { createHmac } from "node:crypto";
import type { BankPayment } from "./bank.ts";
import type { LogRecord } from "./journal.ts";
import type { Knobs } from "./knobs.ts";

/** A notice to a merchant. */
export interface Notice {
  readonly id: string;
  readonly type: string;
  readonly createdAt: string;
  readonly account: string;
  readonly payment: Snapshot;
}

/** A payment as merchants see it. */
export type Snapshot = Omit<
  BankPayment,
  "account" | "behaviour" | "returnUrl" | "captureMode" | "amountMinor" | "isWaiting"
>;

/** What a merchant is told of a payment. */
export function snapshotOf(payment: BankPayment): Snapshot {
  const { account, behaviour, returnUrl, captureMode, amountMinor, isWaiting, ...shown } = payment;
  return shown;
}

/**
 * The notices a log record gives rise to; their ids depend on the record alone, so that a restart
 * repeats them under the same ids.
 */
export function noticesOf(record: LogRecord): Notice[] {
  if (record.kind !== "payment" || record.movements.length === 0) return [];
  const { payment, movements, at } = record;
  const notice = (index: number, type: string, shown: BankPayment): Notice => ({
    id: `evt_${record.seq}_${index}`,
    type: `payment.${type}`,
    createdAt: at,
    account: payment.account,
    payment: snapshotOf(shown),
  });
  const last = movements[movements.length - 1];
  const notices = [notice(0, last?.type ?? "", payment)];
  if (payment.behaviour === "noisy_webhooks" && movements.length > 1) {
    // The step in between, told after the last one.
    notices.push(notice(1, movements[0]?.type ?? "", { ...payment, capturedMinor: 0 }));
  }
  return notices;
}

/** Where and how notices are delivered. */
export interface DeliveryConfig {
  /** Address with `{account}` in it; undefined sends nothing. */
  readonly url: string | undefined;
  /** Each signs every notice: old and new side by side while secrets rotate. */
  readonly secrets: readonly string[];
  readonly knobs: () => Knobs;
  readonly now: () => Date;
  readonly random: () => number;
  /** Tells what became of a notice. */
  readonly onSettled: (notice: Notice, outcome: "delivered" | "given_up") => void;
}

/** Delivers notices until they are acknowledged or given up. */
export interface Delivery {
  send(notices: readonly Notice[], isNoisy: boolean): void;
  /** Notices neither delivered nor given up. */
  waiting(): number;
  stop(): void;
}

const attemptsMax = 12;
const timeoutMs = 5_000;
const parallelMax = 16;

/** Makes a delivery: retries with growing pauses (0.25 s to 60 s), at most 16 at once. */
export function createDelivery(config: DeliveryConfig): Delivery {
  const timers = new Set<NodeJS.Timeout>();
  const ready: Parcel[] = [];
  const open = new Set<string>();
  const stopping = new AbortController();
  let flying = 0;

  const later = (delayMs: number, parcel: Parcel) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      ready.push(parcel);
      pump();
    }, delayMs);
    timers.add(timer);
  };
  const settle = (parcel: Parcel, outcome: "delivered" | "given_up") => {
    if (open.delete(parcel.notice.id)) config.onSettled(parcel.notice, outcome);
  };
  const fly = async (parcel: Parcel) => {
    const isDelivered = !parcel.isLost && (await post(config, parcel.notice, stopping.signal));
    flying--;
    if (stopping.signal.aborted) return;
    if (isDelivered) settle(parcel, "delivered");
    else if (parcel.attempt >= attemptsMax) settle(parcel, "given_up");
    else {
      const pauseMs = Math.min(60_000, 250 * 2 ** (parcel.attempt - 1));
      later(pauseMs, { ...parcel, attempt: parcel.attempt + 1, isLost: false });
    }
    pump();
  };
  const pump = () => {
    while (flying < parallelMax) {
      const parcel = ready.shift();
      if (!parcel) return;
      flying++;
      void fly(parcel);
    }
  };

  return {
    send(notices, isNoisy) {
      const knobs = config.knobs();
      if (!config.url || !knobs.webhooksEnabled) return;
      for (const notice of notices) {
        open.add(notice.id);
        const isTwice = isNoisy || config.random() < knobs.webhookDuplicateRate;
        for (let copy = 0; copy < (isTwice ? 2 : 1); copy++) {
          const isLost = config.random() < knobs.webhookLossRate;
          later(knobs.webhookDelayMs + config.random() * knobs.webhookShuffleMs, {
            notice,
            attempt: 1,
            isLost,
          });
        }
      }
    },
    waiting: () => open.size,
    stop() {
      stopping.abort();
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}

interface Parcel {
  readonly notice: Notice;
  readonly attempt: number;
  readonly isLost: boolean;
}

async function post(
  config: DeliveryConfig,
  notice: Notice,
  stopping: AbortSignal,
): Promise<boolean> {
  const body = JSON.stringify(notice);
  const url = (config.url ?? "").replaceAll("{account}", encodeURIComponent(notice.account));
  const headers = {
    "content-type": "application/json",
    "simulator-signature": signatureOf(body, config.now(), config.secrets),
  };
  try {
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)]);
    const answer = await fetch(url, { method: "POST", headers, body, signal, redirect: "error" });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    // Whatever went wrong on the way: it is tried again.
    return false;
  }
}

/** `t=<unix seconds>,v1=<hex>`, one `v1` per secret: HMAC-SHA256 of `<t>.<body>`. */
export function signatureOf(body: string, now: Date, secrets: readonly string[]): string {
  const t = Math.floor(now.getTime() / 1_000);
  const marks = secrets.map(
    (secret) => `v1=${createHmac("sha256", secret).update(`${t}.${body}`).digest("hex")}`,
  );
  return [`t=${t}`, ...marks].join(",");
}
