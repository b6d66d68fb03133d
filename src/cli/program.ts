import { type App, createApp } from "../app.ts";
import { type Config, readConfig } from "../config.ts";
import { openHomeDatabase } from "../home-database.ts";
import type { Context } from "../kernel/context.ts";
import { isId, newId, type TenantId } from "../kernel/ids.ts";
import type { Tenant } from "../modules/tenants/contract.ts";
import { generatedSecret } from "../platform/secrets/generated-secret.ts";

/** A mistake of the person at the keyboard; the message says what to do. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What every command may do. */
export interface Session {
  readonly app: App;
  readonly config: Config;
  /** Owner URL of the home database. */
  readonly homeUrl: string;
  /** Ends the program's connections; an embedded server that others use stays. */
  close(): Promise<void>;
}

/** How a command answers. */
export interface Output {
  readonly json: boolean;
  /** A line for people; nothing with `--json`. */
  say(line: string): void;
  /** The answer: JSON with `--json`, else whatever `text` makes of it. */
  answer(value: unknown, text: () => string): void;
}

/** Makes the output of one command. */
export function createOutput(json: boolean): Output {
  return {
    json,
    say: (line) => {
      if (!json) process.stderr.write(`${line}\n`);
    },
    answer(value, text) {
      process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text()}\n`);
    },
  };
}

/** Connects to the database of the configuration, beside a running server or alone. */
export async function openSession(output: Output): Promise<Session> {
  const read = readConfig(process.env);
  // Nobody watches a command's statements: the doctor's and an import's are long by nature.
  const config: Config = { ...read, roles: [], slowStatementMs: 0 };
  const database = await openHomeDatabase(config, output.say);
  try {
    const app = await createApp({
      config,
      homeUrl: database.url,
      operatorKey: config.operatorKey ?? generatedSecret(config.home, "operator-key", "op_").value,
      secret: config.secret ?? generatedSecret(config.home, "secret").value,
      log: {
        info() {},
        warn: (_, message) => output.say(`warning: ${message}`),
        error: (fields, message) => output.say(`error: ${message} ${String(fields["err"] ?? "")}`),
      },
    });
    return {
      app,
      config,
      homeUrl: database.url,
      async close() {
        await app.stop();
        await database.stop();
      },
    };
  } catch (error) {
    await database.stop();
    throw error;
  }
}

/** Runs a command in a session of its own. */
export async function inSession<Value>(
  output: Output,
  work: (session: Session) => Promise<Value>,
): Promise<Value> {
  const session = await openSession(output);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

/** Finds a tenant by its slug or id. @throws UsageError */
export async function findTenant({ app }: Session, name: string): Promise<Tenant> {
  if (isId(name)) {
    const found = await app.tenants.get(name as string as TenantId);
    if (found.ok) return found.value;
  }
  const tenant = await app.tenants.findBySlug(name);
  if (tenant) return tenant;
  throw new UsageError(`there is no tenant "${name}"; see: brandos tenant list`);
}

/** The context of somebody at the keyboard. */
export function operatorContext(tenantId: TenantId): Context {
  return { tenantId, actor: { kind: "operator", id: "cli" }, requestId: `cli-${newId()}` };
}

/** Writes rows as a plain table. */
export function table(rows: readonly Readonly<Record<string, unknown>>[]): string {
  const [first] = rows;
  if (!first) return "(none)";
  const names = Object.keys(first);
  const cells = rows.map((row) => names.map((name) => String(row[name] ?? "")));
  const widths = names.map((name, at) =>
    Math.max(name.length, ...cells.map((row) => row[at]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(names), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join(
    "\n",
  );
}
