import { createHmac } from "node:crypto";
import type pg from "pg";
import type { DatabaseUrls } from "./db.ts";

/** Login roles beside the owner. Fixed names, so that grants and policies can name them. */
export const roleNames = { app: "brandos_app", platform: "brandos_platform" } as const;

/**
 * Derives the addresses of the two working roles from the owner's.
 *
 * Their passwords are an HMAC of the owner's: every node computes the same without being told, and
 * knowing one of them does not reveal the owner's.
 */
export function roleUrls(ownerUrl: string): DatabaseUrls {
  return { app: roleUrl(ownerUrl, roleNames.app), platform: roleUrl(ownerUrl, roleNames.platform) };
}

function roleUrl(ownerUrl: string, role: string): string {
  const url = new URL(ownerUrl);
  url.password = url.password === "" ? "" : rolePassword(ownerUrl, role);
  url.username = role;
  return url.href;
}

function rolePassword(ownerUrl: string, role: string): string {
  const secret = decodeURIComponent(new URL(ownerUrl).password);
  return createHmac("sha256", secret).update(role).digest("hex");
}

/**
 * Makes the working roles and the schemas of the platform, where they are missing.
 *
 * @param client connection as the owner, who may create roles and schemas
 */
export async function prepareRoles(client: pg.Client, ownerUrl: string): Promise<void> {
  for (const role of Object.values(roleNames)) await prepareRole(client, ownerUrl, role);
  const { app, platform } = roleNames;
  await client.query(`
    create schema if not exists platform;
    create schema if not exists control;
    revoke all on schema public from public;
    grant usage on schema platform to ${app}, ${platform};
    grant usage on schema control to ${platform};
    alter default privileges in schema platform
      grant select, insert, update, delete on tables to ${app}, ${platform};
    alter default privileges in schema platform grant usage on sequences to ${app}, ${platform};
    alter default privileges in schema control
      grant select, insert, update, delete on tables to ${platform};
    alter default privileges in schema control grant usage on sequences to ${platform};`);
}

/** Roles belong to the whole server: another database's migration may be making them just now. */
async function prepareRole(client: pg.Client, ownerUrl: string, role: string): Promise<void> {
  const password = client.escapeLiteral(rolePassword(ownerUrl, role));
  // An owner that is no superuser may make confined roles, but not name those attributes later.
  const confined = "nosuperuser nobypassrls nocreatedb nocreaterole noinherit";
  for (let attempt = 1; ; attempt++) {
    const { rowCount } = await client.query("select 1 from pg_roles where rolname = $1", [role]);
    const change =
      rowCount === 1 ? `alter role ${role} login` : `create role ${role} login ${confined}`;
    try {
      await client.query(`${change} password ${password}`);
      return;
    } catch (error) {
      if (!isRoleRace(error) || attempt === roleAttemptsMax) throw error;
    }
  }
}

const roleAttemptsMax = 20;

/** Duplicate role, unique violation, or "tuple concurrently updated", which has no code of its own. */
function isRoleRace(error: unknown): boolean {
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  if (code === "42710" || code === "23505") return true;
  return code === "XX000" && /tuple concurrently/.test(message ?? "");
}

/**
 * Makes a schema for tenants' business tables, where it is missing.
 *
 * @param schema `shared`, or `t_` and lower-case letters, digits and underscores
 * @throws RangeError for any other name
 */
export async function prepareTenantSchema(client: pg.Client, schema: string): Promise<void> {
  if (!/^(shared|t_[a-z0-9_]{1,58})$/.test(schema)) {
    throw new RangeError(`"${schema}" is not a tenant schema: use shared or t_<name>`);
  }
  await client.query(`
    create schema if not exists ${schema};
    grant usage on schema ${schema} to ${roleNames.app};
    alter default privileges in schema ${schema}
      grant select, insert, update, delete on tables to ${roleNames.app};
    alter default privileges in schema ${schema} grant usage on sequences to ${roleNames.app};`);
}

/**
 * Refuses to work as a role that row-level security does not bind.
 *
 * @throws Error when the application role is a superuser, bypasses RLS or owns tenant tables
 */
export async function assertConfinedRole(client: pg.Client): Promise<void> {
  const { rows } = await client.query(
    `select rolsuper or rolbypassrls as unconfined from pg_roles where rolname = current_user`,
  );
  if (rows[0]?.unconfined !== false) {
    throw new Error(
      "the application role is a superuser or bypasses row-level security; " +
        "give BrandOS an application role with NOSUPERUSER NOBYPASSRLS",
    );
  }
}
