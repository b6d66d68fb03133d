import pg from "pg";
import { isAlive } from "./processes.ts";
import { until } from "./wait.ts";

/** Ownership of a running server, held for as long as its connection lives. */
export interface Keeper {
  /** Settles when the connection ended, whoever ended it. */
  readonly lost: Promise<void>;
  release(): Promise<void>;
}

/** Any number, the same in every process: "BRND" in ASCII. */
const ownerLock = 0x42524e44;
/** How long a server may take to notice that its owner died, milliseconds. */
const noticeTimeoutMs = 3_000;
const ownerName = "brandos-owner-";

/** A connection of the superuser. */
export interface Superuser {
  /** @returns the rows of one statement */
  query(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  end(): Promise<void>;
  /** Settles when the connection ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** Whether the open connection keeps the process alive; it does at first. */
  keepAlive(on: boolean): void;
}

/** Opens a connection as the superuser. The caller must end it. */
export async function connectSuperuser(url: string): Promise<Superuser> {
  const client = new pg.Client({
    connectionString: url,
    application_name: ownerName + process.pid,
    connectionTimeoutMillis: 5_000,
  });
  // The server may go away at any moment: whoever waits on the connection learns it from "end".
  client.on("error", () => {});
  const ended = new Promise<void>((resolve) => client.once("end", () => resolve()));
  await client.connect();
  // Both exist since pg 7.12; the type definitions lack them.
  const { ref, unref } = client as unknown as { ref: () => void; unref: () => void };
  return {
    query: async (text, values = []) => (await client.query(text, [...values])).rows,
    end: () => client.end(),
    ended,
    keepAlive: (on) => (on ? ref : unref).call(client),
  };
}

/**
 * Becomes the owner of a server, unless another living process is.
 *
 * Ownership is an advisory lock of the server itself: it ends with its holder's connection,
 * however the holder dies, and is taken by exactly one of several that try.
 * @returns nothing when another process owns the server
 */
export async function takeOwnership(url: string): Promise<Keeper | undefined> {
  const session = await connectSuperuser(url);
  const tryLock = async () => {
    const [row] = await session.query("select pg_try_advisory_lock($1) as taken", [ownerLock]);
    return row?.["taken"] === true;
  };
  const free = async () => (await tryLock()) || (await ownerLives(session));
  await until(free, { timeoutMs: noticeTimeoutMs });
  const [row] = await session.query(
    "select 1 from pg_locks where locktype = 'advisory' and granted and pid = pg_backend_pid()",
  );
  if (!row) {
    await session.end();
    return undefined;
  }
  // Holding the lock must not keep an otherwise finished process alive.
  session.keepAlive(false);
  const release = () => {
    session.keepAlive(true);
    return session.end();
  };
  return { lost: session.ended, release };
}

/** Whether the process lives that holds the lock; the server may not know yet that it died. */
async function ownerLives(session: Superuser): Promise<boolean> {
  const [row] = await session.query(
    `select application_name as name from pg_stat_activity join pg_locks using (pid)
     where locktype = 'advisory' and objid = $1 and granted`,
    [ownerLock],
  );
  return isAlive(Number(String(row?.["name"] ?? "").slice(ownerName.length)));
}
