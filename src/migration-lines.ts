import { existsSync } from "node:fs";
import type { MigrationLine, MigrationScope } from "./platform/db/migrate.ts";

/** Every owner of tables, in order of dependency. */
const owners: readonly (readonly [name: string, scope: MigrationScope])[] = [
  ["platform/db", "platform"],
  ["platform/placement", "control"],
  ["platform/events", "platform"],
  ["platform/jobs", "platform"],
  ["platform/sagas", "platform"],
  ["platform/idempotency", "platform"],
  ["modules/tenants", "control"],
  ["platform/locks", "platform"],
  ["platform/cache", "platform"],
  ["platform/limits", "platform"],
  ["platform/versions", "tenant"],
  ["modules/ledger", "tenant"],
  ["modules/catalog", "tenant"],
  ["modules/customers", "tenant"],
  ["modules/inventory", "tenant"],
  ["modules/promotions", "tenant"],
  ["modules/shipping", "tenant"],
  ["modules/tax", "tenant"],
  ["modules/carts", "tenant"],
  ["modules/orders", "tenant"],
  ["modules/payments", "tenant"],
  ["modules/receipts", "tenant"],
];

/** The migration lines of the whole product, in the order they are applied. */
export const migrationLines: readonly MigrationLine[] = owners
  .map(([name, scope]) => ({
    name,
    scope,
    folder: new URL(`./${name}/migrations`, import.meta.url).pathname,
  }))
  .filter((line) => existsSync(line.folder));
