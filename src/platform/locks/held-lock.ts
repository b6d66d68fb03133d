import type { Alarm, Alarms } from "./alarms.ts";
import { LockError } from "./errors.ts";
import { renewInMs } from "./lease.ts";
import type { LeaseRequest, LeaseStore, TakenLease } from "./store.ts";

/** A lock that is held, until it is released or lost. */
export interface Lock extends AsyncDisposable {
  readonly name: string;
  /**
   * Fencing token: larger than those of all holders before. Send it along with whatever the lock
   * protects, and refuse there what brings a smaller one than was seen.
   */
  readonly token: number;
  /** Aborted when the lock is lost, or may be; its reason is a {@link LockError}. */
  readonly signal: AbortSignal;
  /** Whether it is surely held still, by this process's clock. */
  isHeld(): boolean;
  /**
   * Makes it last for `leaseMs` from now; by itself it lasts as long as it is renewed.
   *
   * @throws LockError ERR_LOCK_LOST, or ERR_LOCK_UNAVAILABLE when the store does not answer
   */
  extend(leaseMs?: number): Promise<void>;
  /** Gives it back. May be called twice. @returns whether it was held until now */
  release(): Promise<boolean>;
}

/** What happens to locks, for observers. */
export type LockEvent =
  | {
      readonly kind: "acquired";
      readonly name: string;
      readonly token: number;
      readonly waitedMs: number;
    }
  | { readonly kind: "released"; readonly name: string; readonly heldMs: number }
  | { readonly kind: "renewal_failed"; readonly name: string; readonly error: unknown }
  | { readonly kind: "lost"; readonly name: string; readonly token: number };

/** What a held lock is made of. */
export interface Holding {
  readonly store: LeaseStore;
  readonly request: LeaseRequest;
  readonly lease: TakenLease;
  /** Whether it is renewed for as long as it is held. */
  readonly renews: boolean;
  readonly alarms: Alarms;
  readonly onEvent: (event: LockEvent) => void;
  /** Called once, when it is held no more. */
  readonly onEnd: (lock: Lock) => void;
}

/** Watches over a lease: renews it in time, and says when it is lost. */
export function holdLock(holding: Holding): Lock {
  const { store, request, lease, renews, alarms, onEvent, onEnd } = holding;
  const { name } = request;
  const { token } = lease;
  const loss = createLoss(name);
  const heldFromMs = performance.now();
  let validUntilMs = lease.validUntilMs;
  let state: "held" | "released" | "lost" = "held";
  let renewAtMs = renews ? heldFromMs + renewInMs(request.leaseMs, false) : Infinity;
  let releasing: Promise<boolean> | undefined;

  const end = (as: "released" | "lost"): void => {
    state = as;
    alarms.clear(alarm);
    onEnd(lock);
  };
  const lose = (): void => {
    if (state !== "held") return;
    end("lost");
    onEvent({ kind: "lost", name, token });
    loss.happened();
  };
  /** One alarm for both: the next renewal, or the end when none came in time. */
  const watch = (): void => {
    if (state === "held") alarms.set(alarm, Math.min(renewAtMs, validUntilMs));
  };
  const look = (): void => {
    const nowMs = performance.now();
    if (nowMs >= validUntilMs) lose();
    else if (nowMs >= renewAtMs) void renew();
    watch();
  };
  const alarm: Alarm = { atMs: 0, ring: look };
  const extend = async (leaseMs: number): Promise<void> => {
    if (state !== "held") throw lostError(name);
    const until = await store.extend({ ...request, leaseMs });
    if (until === undefined) lose();
    if (state !== "held" || until === undefined) throw lostError(name);
    validUntilMs = until;
    watch();
  };
  const renew = async (): Promise<void> => {
    // None while one is under way.
    renewAtMs = Infinity;
    let hasFailed = false;
    try {
      await extend(request.leaseMs);
    } catch (error) {
      if (state !== "held") return;
      hasFailed = true;
      onEvent({ kind: "renewal_failed", name, error });
    }
    renewAtMs = performance.now() + renewInMs(request.leaseMs, hasFailed);
    watch();
  };
  const release = async (): Promise<boolean> => {
    if (state !== "held") return false;
    const inTime = performance.now() < validUntilMs;
    end("released");
    onEvent({ kind: "released", name, heldMs: performance.now() - heldFromMs });
    return (await store.release(request)) && inTime;
  };
  const lock: Lock = {
    name,
    token,
    get signal() {
      return loss.signal();
    },
    isHeld: () => state === "held" && performance.now() < validUntilMs,
    extend: (leaseMs = request.leaseMs) => extend(leaseMs),
    release() {
      releasing ??= release();
      return releasing;
    },
    async [Symbol.asyncDispose]() {
      await lock.release();
    },
  };
  watch();
  return lock;
}

/** The signal of a loss, made when somebody asks for it: few do. */
function createLoss(name: string) {
  let controller: AbortController | undefined;
  let hasHappened = false;
  return {
    signal(): AbortSignal {
      controller ??= new AbortController();
      if (hasHappened) controller.abort(lostError(name));
      return controller.signal;
    },
    happened() {
      hasHappened = true;
      controller?.abort(lostError(name));
    },
  };
}

function lostError(name: string): LockError {
  return new LockError("ERR_LOCK_LOST", `the lock ${name} is held no more`);
}
