import { randomUUID } from "node:crypto";
import { assert } from "../../kernel/assert.ts";
import type { Random } from "../../kernel/random.ts";
import type { Db } from "../db/db.ts";
import { onPoke, poke } from "../wakeup/poke.ts";
import type { Wakeup } from "../wakeup/wakeup.ts";
import { createSubscriptionControl, type SubscriptionControl } from "./control.ts";
import { beat, createCursors, forgetReader, type Holder, releaseHeld } from "./cursors.ts";
import type { EventRegistry } from "./definition.ts";
import { eventsTopic, partitionCount, readersTopic } from "./event.ts";
import { openEventLog } from "./log.ts";
import { createRunner, type Runner } from "./runner.ts";
import type { Subscription, SubscriptionEvent } from "./subscription.ts";

/** A database whose log is read. */
export interface SubscribedDatabase {
  readonly name: string;
  /** Carries wake-ups between processes; without it other nodes' appends are seen by polling. */
  readonly wakeup?: Wakeup;
}

/** How subscriptions run; everything but `db` and `databases` has a default. */
export interface SubscriptionsConfig {
  readonly db: Db;
  readonly databases: readonly SubscribedDatabase[];
  /** Brings old event versions up to date before they are handed over. */
  readonly registry?: EventRegistry;
  /** Life of a lease, milliseconds, 1,000 to 60,000; default 10,000. */
  readonly leaseMs?: number;
  /** Looks at the log at least this often, milliseconds; default 1,000. */
  readonly pollMs?: number;
  /** UUID of this process's life; random by default. */
  readonly node?: string;
  readonly random?: Random;
  readonly onEvent?: (event: SubscriptionEvent) => void;
}

/** The subscriptions of this process. */
export interface Subscriptions extends SubscriptionControl {
  /** Adds a subscription; before {@link start}. */
  register(subscription: Subscription): void;
  /** Claims partitions and begins to hand events over. @throws DbError when a database is away */
  start(): Promise<void>;
  /** Begins to read one more database. */
  addDatabase(database: SubscribedDatabase): Promise<void>;
  /** Finishes the batches in work and gives the leases back; may be called twice, or before start. */
  stop(): Promise<void>;
}

/** Makes the subscriptions of a process; register them, then start. */
export function createSubscriptions(config: SubscriptionsConfig): Subscriptions {
  const { db } = config;
  const subscriptions = new Map<string, Subscription>();
  const databases = new Map(config.databases.map((database) => [database.name, database]));
  const readers: DatabaseReader[] = [];
  const control = createSubscriptionControl(db, () => [...databases.keys()]);
  let started = false;

  const startReader = async (database: SubscribedDatabase): Promise<void> => {
    const reader = createDatabaseReader(config, database, [...subscriptions.values()]);
    readers.push(reader);
    await reader.start();
  };

  return {
    ...control,
    register(subscription) {
      assert(!started, "subscriptions are registered before the start");
      assert(!subscriptions.has(subscription.name), `${subscription.name} is registered once`);
      subscriptions.set(subscription.name, subscription);
    },
    async start() {
      if (started) return;
      started = true;
      await Promise.all([...databases.values()].map(startReader));
    },
    async addDatabase(database) {
      if (databases.has(database.name)) return;
      databases.set(database.name, database);
      if (started) await startReader(database);
    },
    async stop() {
      started = false;
      await Promise.all(readers.splice(0).map((reader) => reader.stop()));
    },
  };
}

interface DatabaseReader {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** All subscriptions over one database: one heartbeat and one look at the log for all of them. */
function createDatabaseReader(
  config: SubscriptionsConfig,
  database: SubscribedDatabase,
  subscriptions: readonly Subscription[],
): DatabaseReader {
  const leaseMs = config.leaseMs ?? 10_000;
  const holder: Holder = {
    db: config.db,
    database: database.name,
    node: config.node ?? randomUUID(),
    leaseMs,
  };
  const onEvent = config.onEvent ?? (() => {});
  const log = openEventLog(config.db, database.name);
  const runners: readonly Runner[] = subscriptions.map((subscription) =>
    createRunner({
      holder,
      log,
      subscription,
      registry: config.registry,
      random: config.random ?? Math.random,
      onEvent,
      onLeaseLost: () => heart.beatSoon(),
    }),
  );
  const wakeAll = (): void => {
    for (const runner of runners) runner.wake();
  };
  const heart = createHeart(holder, runners, (error) => {
    for (const { subscription } of runners) {
      onEvent({ kind: "failed", subscription: subscription.name, database: database.name, error });
    }
  });
  const ends: (() => void)[] = [];
  return {
    async start() {
      const rows = subscriptions.map(({ name, from }) => ({ name, from: from ?? "beginning" }));
      await createCursors(holder, rows);
      ends.push(listen(database.wakeup, eventsTopic, wakeAll));
      ends.push(listen(database.wakeup, readersTopic, heart.beatSoon));
      const polling = setInterval(wakeAll, config.pollMs ?? 1_000);
      polling.unref();
      ends.push(() => clearInterval(polling));
      await heart.start();
      // Those who hold more than their share now need not find out by themselves.
      poke(readersTopic);
    },
    async stop() {
      for (const end of ends.splice(0)) end();
      await heart.stop();
      await Promise.all(runners.map((runner) => runner.stop()));
      const held = runners.flatMap((runner) => runner.held());
      // What cannot be given back expires by itself.
      await releaseHeld(holder, held).catch(() => {});
      await forgetReader(holder).catch(() => {});
      poke(readersTopic);
    },
  };
}

function listen(wakeup: Wakeup | undefined, topic: string, wake: () => void): () => void {
  if (wakeup) return wakeup.listen(topic, wake);
  return onPoke((poked) => {
    if (poked === topic) wake();
  });
}

interface Heart {
  start(): Promise<void>;
  beatSoon(): void;
  stop(): Promise<void>;
}

/**
 * How soon a heartbeat follows when something happened to readers, milliseconds. It doubles while one
 * follows the other: what is free may be locked by a process that is paused.
 */
const soonMs = 10;

/** Renews the leases four times in their life, for all subscriptions of a database in one go. */
function createHeart(
  holder: Holder,
  runners: readonly Runner[],
  onFailure: (error: unknown) => void,
): Heart {
  const names = runners.map(({ subscription }) => subscription.name);
  let timer: NodeJS.Timeout | undefined;
  let beating: Promise<void> | undefined;
  let isWantedAgain = false;
  let againMs = soonMs;
  let stopped = true;

  const once = async (): Promise<void> => {
    const places = runners.flatMap((runner) => runner.held());
    const { held, readers } = await beat(holder, names, places);
    for (const runner of runners) {
      const { name } = runner.subscription;
      const { nodes, free } = readers.get(name) ?? { nodes: 1, free: 0 };
      const share = Math.ceil(partitionCount / Math.max(nodes, 1));
      const own = held.filter(({ subscription }) => subscription === name);
      runner.reconcile(own, share);
      // Another node asked for the same ones at the same time.
      if (free > 0 && own.length < share) isWantedAgain = true;
    }
  };
  /** One at a time: what an older one learnt must not replace what a newer one did. */
  const beatNow = async (): Promise<void> => {
    isWantedAgain = false;
    try {
      beating = once();
      await beating;
    } finally {
      beating = undefined;
      const regularMs = holder.leaseMs / 4;
      schedule(isWantedAgain ? againMs : regularMs);
      againMs = isWantedAgain ? Math.min(againMs * 2, regularMs) : soonMs;
    }
  };
  const schedule = (ms: number): void => {
    clearTimeout(timer);
    if (stopped) return;
    timer = setTimeout(() => beatNow().catch(onFailure), ms);
    timer.unref();
  };
  return {
    start() {
      stopped = false;
      return beatNow();
    },
    beatSoon() {
      if (beating) isWantedAgain = true;
      else schedule(soonMs);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await beating?.catch(() => {});
    },
  };
}
