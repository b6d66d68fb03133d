import pg from "pg";
import { type Backoff, fullJitter } from "../../kernel/backoff.ts";
import { onPoke, type WakeTopic } from "./poke.ts";

export { poke, type WakeTopic } from "./poke.ts";

/** Which database to listen on, and for what. */
export interface WakeupConfig {
  /** Direct address (no transaction pooler: LISTEN belongs to a session), any role. */
  readonly url: string;
  /** Topics carried between processes; each is a channel `brandos_<topic>`. */
  readonly topics: readonly WakeTopic[];
  /**
   * Shortest time between two notifications of one topic, milliseconds; default 5. It doubles while
   * one follows the other, up to five times as long: a busy topic is heard of anyway.
   */
  readonly quietMs?: number;
  readonly onError?: (error: unknown) => void;
}

/** Wakes sleepers of this and other processes. A hint, never the only way to learn something. */
export interface Wakeup {
  /** Calls `wake` after pokes of this process and notifications of others. @returns its end */
  listen(topic: WakeTopic, wake: () => void): () => void;
  /** Connects; comes back by itself when the connection breaks. */
  start(): Promise<void>;
  /** May be called twice, or before `start`. */
  stop(): Promise<void>;
}

/** Pauses before the connection is made again, and how long that may take, milliseconds. */
export const wakeupDefaults = {
  connectTimeoutMs: 5_000,
  backoff: { baseMs: 100, maxMs: 5_000 },
} as const satisfies { readonly connectTimeoutMs: number; readonly backoff: Backoff };

/**
 * Makes a wake-up over LISTEN and NOTIFY on one connection of its own.
 *
 * Never inside a business transaction: NOTIFY takes a lock that makes commits queue (17,000 to
 * 6,200 a second, measured). Here it is a transaction of its own, at most one per topic and
 * `quietMs`, without content.
 */
export function createWakeup(config: WakeupConfig): Wakeup {
  const quietMs = config.quietMs ?? 5;
  const onError = config.onError ?? (() => {});
  const sleepers = new Map<WakeTopic, Set<() => void>>();
  const quiet = new Map<WakeTopic, { again: boolean }>();
  let connection: pg.Client | undefined;
  let stopped = true;
  let retry: NodeJS.Timeout | undefined;
  let unhook: (() => void) | undefined;

  const wake = (topic: WakeTopic): void => {
    for (const sleeper of sleepers.get(topic) ?? []) sleeper();
  };
  const notify = (topic: WakeTopic, windowMs = quietMs): void => {
    const window = quiet.get(topic);
    if (window) {
      window.again = true;
      return;
    }
    if (!connection) return;
    quiet.set(topic, { again: false });
    connection.query(`notify ${channel(topic)}`).catch(onError);
    setTimeout(() => {
      const again = quiet.get(topic)?.again;
      quiet.delete(topic);
      if (again) notify(topic, Math.min(windowMs * 2, quietMs * 5));
    }, windowMs);
  };
  const hear = (topic: WakeTopic): void => {
    if (!config.topics.includes(topic)) return;
    wake(topic);
    notify(topic);
  };
  const connect = async (attempt: number): Promise<void> => {
    if (stopped) return;
    try {
      connection = await open(config, wake, () => {
        connection = undefined;
        scheduleReconnect(0);
      });
      // Whatever was notified while nobody listened is unknown: look once.
      if (attempt > 0) for (const topic of config.topics) wake(topic);
      if (stopped) await closeQuietly(connection);
    } catch (error) {
      onError(error);
      scheduleReconnect(attempt);
    }
  };
  const scheduleReconnect = (attempt: number): void => {
    if (stopped) return;
    const waitMs = fullJitter(wakeupDefaults.backoff, attempt, Math.random);
    retry = setTimeout(() => void connect(attempt + 1), waitMs);
    retry.unref();
  };

  return {
    listen(topic, sleeper) {
      const group = sleepers.get(topic) ?? new Set();
      sleepers.set(topic, group.add(sleeper));
      return () => group.delete(sleeper);
    },
    async start() {
      if (!stopped) return;
      stopped = false;
      unhook = onPoke(hear);
      await connect(0);
    },
    async stop() {
      stopped = true;
      unhook?.();
      clearTimeout(retry);
      const open = connection;
      connection = undefined;
      if (open) await closeQuietly(open);
    },
  };
}

function channel(topic: WakeTopic): string {
  return pg.escapeIdentifier(`brandos_${topic}`);
}

async function open(
  config: WakeupConfig,
  wake: (topic: WakeTopic) => void,
  lost: () => void,
): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: config.url,
    application_name: "brandos/wakeup",
    connectionTimeoutMillis: wakeupDefaults.connectTimeoutMs,
    keepAlive: true,
    // Two topics may be poked in one turn.
    pipeline: true,
  } as pg.ClientConfig);
  let reported = false;
  const reportLost = () => {
    if (reported) return;
    reported = true;
    lost();
  };
  const listening = config.topics.map((topic) => `listen ${channel(topic)}`).join(";");
  const self = () => (client as unknown as { processID: number }).processID;
  client.on("error", config.onError ?? (() => {}));
  client.on("notification", (message) => {
    if (message.processId !== self()) wake(message.channel.slice("brandos_".length));
  });
  await client.connect();
  await client.query(listening);
  client.on("end", reportLost);
  client.on("error", reportLost);
  return client;
}

async function closeQuietly(client: pg.Client): Promise<void> {
  // Closing a broken connection fails; it is closed then.
  await client.end().catch(() => {});
}
