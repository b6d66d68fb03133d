import { newId } from "../../kernel/ids.ts";
import type { Db } from "../db/db.ts";
import { sql } from "../db/sql.ts";

/** A worker's lease: while it lasts, nobody takes its jobs away. */
export interface Lease {
  /** Names the worker; a new one after the lease was lost. */
  readonly workerId: string;
  start(): Promise<void>;
  /** Notices that no heartbeat got through in time; call it often. */
  check(): void;
  /** Whether jobs may be claimed under it. */
  readonly isHeld: boolean;
  /** Gives the lease back. */
  stop(): Promise<void>;
}

/** What a lease works with. */
export interface LeaseConfig {
  readonly db: Db;
  readonly database: string;
  /** Label of the process for people. */
  readonly node: string;
  /** How long the lease lasts without a heartbeat, milliseconds. */
  readonly leaseMs: number;
  /** Called when others may have taken the jobs: every run must end. */
  readonly onLost: () => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Keeps one row of job_workers alive: one small update each third of the lease, however many jobs
 * run. Expiry is by the database's clock. By its own monotonic clock the holder gives up before
 * that: it counts from the moment it asked, the database from a later one.
 */
export function createLease(config: LeaseConfig): Lease {
  const { db, database, node, leaseMs } = config;
  let workerId: string = newId();
  let renewedAtMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let stopped = true;
  let isLost = false;

  const take = async (): Promise<void> => {
    const askedAtMs = performance.now();
    await db.platform(
      database,
      (tx) =>
        tx.run(sql("jobs.take_lease")`
          insert into job_workers (id, node, expires_at)
          values (${workerId}, ${node},
            clock_timestamp() + ${leaseMs}::int * interval '1 millisecond')`),
      { name: "jobs.take_lease" },
    );
    renewedAtMs = askedAtMs;
  };
  const renew = async (): Promise<boolean> => {
    const askedAtMs = performance.now();
    const renewed = await db.platform(
      database,
      (tx) =>
        tx.run(sql("jobs.renew_lease")`
          update job_workers
          set expires_at = clock_timestamp() + ${leaseMs}::int * interval '1 millisecond'
          where id = ${workerId} and expires_at > clock_timestamp()`),
      { name: "jobs.renew_lease", lockTimeoutMs: leaseMs },
    );
    if (renewed === 1) renewedAtMs = askedAtMs;
    return renewed === 1;
  };
  const lose = (): void => {
    if (isLost) return;
    isLost = true;
    workerId = newId();
    config.onLost();
  };
  const beat = async (): Promise<void> => {
    try {
      if (!isLost && !(await renew())) lose();
      if (isLost) {
        await take();
        isLost = false;
      }
    } catch (error) {
      config.onError(error);
    }
    schedule();
  };
  const schedule = (): void => {
    if (!stopped) timer = setTimeout(() => void beat(), leaseMs / 3);
  };

  return {
    get workerId() {
      return workerId;
    },
    get isHeld() {
      return !stopped && !isLost;
    },
    check() {
      if (!stopped && performance.now() - renewedAtMs > leaseMs) lose();
    },
    async start() {
      stopped = false;
      isLost = false;
      await take();
      schedule();
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      clearTimeout(timer);
      await db.platform(
        database,
        (tx) => tx.run(sql("jobs.drop_lease")`delete from job_workers where id = ${workerId}`),
        { name: "jobs.drop_lease" },
      );
    },
  };
}
