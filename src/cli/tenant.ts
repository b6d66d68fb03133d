import { newId } from "../kernel/ids.ts";
import type { Result } from "../kernel/result.ts";
import type { IsolationStyle } from "../platform/placement/placements.ts";
import {
  findTenant,
  inSession,
  type Output,
  operatorContext,
  type Session,
  table,
  UsageError,
} from "./program.ts";

/** `brandos tenant list` */
export async function listTenantsCommand(output: Output): Promise<void> {
  const tenants = await inSession(output, async ({ app }) => {
    const rows = [];
    let cursor: string | undefined;
    do {
      const page = await app.tenants.list(cursor, 100);
      rows.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return rows;
  });
  output.answer(tenants, () =>
    table(
      tenants.map(({ slug, name, status, currencies, id }) => ({
        slug,
        name,
        status,
        currencies,
        id,
      })),
    ),
  );
}

interface CreateOptions {
  readonly name?: string;
  readonly currency: string;
  readonly isolation: string;
  readonly cluster?: string;
}

/** `brandos tenant create SLUG`: prints the keys, the only time they can be seen. */
export async function createTenantCommand(
  output: Output,
  slug: string,
  options: CreateOptions,
): Promise<void> {
  const made = await inSession(output, (session) => createTenant(session, slug, options));
  output.answer(made, () =>
    [
      `tenant           ${made.id}`,
      `secret key       ${made.secretKey}`,
      `publishable key  ${made.publishableKey}`,
    ].join("\n"),
  );
}

/** Makes a brand with a key of each kind. */
export async function createTenant({ app }: Session, slug: string, options: CreateOptions) {
  if (!["pool", "bridge", "silo"].includes(options.isolation)) {
    throw new UsageError("--isolation is pool, bridge or silo");
  }
  const id = newId<"tenant">();
  const ctx = operatorContext(id);
  const currencies = options.currency.toUpperCase().split(",");
  const created = await app.tenants.create(ctx, {
    id,
    slug,
    name: options.name ?? slug,
    currencies,
    defaultCurrency: currencies[0] ?? "EUR",
    defaultLocale: "en",
    pricesIncludeTax: true,
    style: options.isolation as IsolationStyle,
    ...(options.cluster ? { cluster: options.cluster } : {}),
  });
  told(created);
  const key = async (kind: "secret" | "publishable") =>
    told(
      await app.tenants.createKey(
        ctx,
        { permissions: ["*"] },
        {
          id: newId<"api_key">(),
          kind,
          name: `Made with ${slug}`,
          permissions: kind === "secret" ? ["*"] : [],
        },
      ),
    ).key;
  return { id, slug, secretKey: await key("secret"), publishableKey: await key("publishable") };
}

/** `brandos tenant suspend|resume|erase TENANT` */
export async function tenantStatusCommand(
  output: Output,
  verb: "suspend" | "resume" | "erase",
  name: string,
): Promise<void> {
  const done = await inSession(output, async (session) => {
    const { id } = await findTenant(session, name);
    const result: Result<unknown> = await session.app.tenants[verb](operatorContext(id), id);
    return told(result);
  });
  output.answer(done, () => `${verb}: done`);
}

/** The value of a result; a refusal is told to the person. */
function told<Value>(result: Result<Value>): Value {
  if (result.ok) return result.value;
  throw new UsageError(`refused: ${JSON.stringify(result.failure)}`);
}
