import type pg from "pg";
import { validUntilMs } from "../locks/lease.ts";
import type { LeaseRequest, LeaseStore } from "../locks/store.ts";

/** Name of the one lease there is. */
export const migrationLease = "migrations";

/** Longest a question waits for a transaction that shows its token, milliseconds. */
const blockedAfterMs = 250;
const lockNotAvailable = "55P03";

/**
 * Keeps the lease of whoever migrates a database, in a table of its own: the tables of the other
 * locks are made by migrations.
 *
 * @param client connection as the owner, for this alone: it renews while migrations run on another
 */
export async function createMigrationLeaseStore(client: pg.Client): Promise<LeaseStore> {
  // Sent whole, so that whoever is paused keeps nobody waiting. The lock makes "if not exists" true
  // also for those who begin at once.
  await client.query(`
    select pg_advisory_xact_lock(7220401);
    create schema if not exists platform;
    create table if not exists platform.migration_lease (
      name text primary key, holder uuid, token bigint not null unique, expires_at timestamptz not null);
    set lock_timeout = ${blockedAfterMs}`);
  const ask = async (text: string, values: readonly unknown[]): Promise<number | undefined> => {
    const { rows } = await client.query(text, [...values]).catch((error) => {
      if (error?.code === lockNotAvailable) return { rows: [] };
      throw error;
    });
    return rows[0] && Number(rows[0].token);
  };
  return {
    async take({ name, holder, leaseMs }) {
      const askedAtMs = performance.now();
      const token = await ask(takeLease, [name, holder, leaseMs]);
      return token === undefined
        ? undefined
        : { token, validUntilMs: validUntilMs(askedAtMs, leaseMs) };
    },
    async extend({ name, holder, leaseMs }) {
      const askedAtMs = performance.now();
      const token = await ask(extendLease, [name, holder, leaseMs]);
      return token === undefined ? undefined : validUntilMs(askedAtMs, leaseMs);
    },
    release: async ({ name, holder }: LeaseRequest) =>
      (await ask(releaseLease, [name, holder])) !== undefined,
  };
}

const takeLease = `
  insert into platform.migration_lease as lease (name, holder, token, expires_at)
  values ($1, $2, (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    clock_timestamp() + $3 * interval '1 ms')
  on conflict (name) do update set holder = excluded.holder,
    token = greatest(lease.token + 1, excluded.token), expires_at = excluded.expires_at
  where lease.expires_at <= clock_timestamp() or lease.holder = excluded.holder
  returning token`;

const extendLease = `
  update platform.migration_lease set expires_at = clock_timestamp() + $3 * interval '1 ms'
  where name = $1 and holder = $2 and expires_at > clock_timestamp() returning token`;

const releaseLease = `
  update platform.migration_lease set holder = null, expires_at = '-infinity'
  where name = $1 and holder = $2 and expires_at > clock_timestamp() returning token`;

/**
 * Shows a token in a migration's transaction. The lease is not taken over until the transaction ends:
 * that would change the token, which is a key. It can be renewed: that changes no key.
 *
 * @returns whether the token is still the last one
 */
export async function showsLastToken(client: pg.Client, token: number): Promise<boolean> {
  const { rowCount } = await client.query(
    "select from platform.migration_lease where name = $1 and token = $2 for key share",
    [migrationLease, token],
  );
  return rowCount === 1;
}
