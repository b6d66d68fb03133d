import { setTimeout as delay } from "node:timers/promises";
import type { Lock } from "./held-lock.ts";

/** What is led, and how. */
export interface LeadershipConfig {
  readonly locks: {
    acquire(
      name: string,
      options: { readonly leaseMs: number; readonly signal: AbortSignal },
    ): Promise<Lock>;
  };
  /** Names the group; whoever holds this lock leads it. */
  readonly name: string;
  /** How long the others wait for a leader that died, milliseconds; default 15,000. */
  readonly leaseMs?: number;
  /**
   * Leads until `lock.signal` is aborted. Whoever returns or throws earlier lays it down.
   *
   * @param lock its token is the term: larger for every later leader
   */
  readonly lead: (lock: Lock) => Promise<void>;
  readonly onError?: (error: unknown) => void;
  /** Pause before standing again, milliseconds; default 1,000. */
  readonly restMs?: number;
}

/** A candidate of this process. */
export interface Leadership {
  /** Stands for election, again and again. */
  start(): void;
  /** Whether this process leads, as far as it can know. */
  isLeader(): boolean;
  /** Lays it down at once. May be called twice, or before `start`. */
  stop(): Promise<void>;
}

/** Makes a candidate: one of all processes leads at a time, as long as it lives. */
export function createLeadership(config: LeadershipConfig): Leadership {
  const { locks, name, leaseMs = 15_000, lead, restMs = 1_000 } = config;
  const onError = config.onError ?? (() => {});
  let standing: { readonly end: AbortController; readonly over: Promise<void> } | undefined;
  let current: Lock | undefined;

  const leadOnce = async (signal: AbortSignal): Promise<void> => {
    const lock = await locks.acquire(name, { leaseMs, signal });
    const ended = AbortSignal.any([lock.signal, signal]);
    current = lock;
    try {
      await lead({ ...lock, signal: ended });
    } finally {
      current = undefined;
      await lock.release();
    }
  };
  const stand = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        await leadOnce(signal);
      } catch (error) {
        if (!signal.aborted) onError(error);
      }
      await delay(restMs, undefined, { signal, ref: false }).catch(() => {});
    }
  };
  return {
    start() {
      if (standing) return;
      const end = new AbortController();
      standing = { end, over: stand(end.signal) };
    },
    isLeader: () => current?.isHeld() ?? false,
    async stop() {
      standing?.end.abort();
      await standing?.over;
    },
  };
}
