import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { App } from "../app.ts";
import type { Context } from "../kernel/context.ts";
import { newId } from "../kernel/ids.ts";
import { seededRandom } from "../kernel/random.ts";
import { demoBrands } from "./brands.ts";
import { type DemoKeys, seedBrand } from "./seed.ts";

/**
 * Makes the demo brands that are missing. The keys are kept in a file that only its owner may read,
 * because the database has their hashes alone; a brand that was cut off half-way is made anew.
 *
 * @param home folder of the file
 * @returns keys of all demo brands
 */
export async function ensureDemo(
  app: App,
  home: string,
  onStep: (step: string) => void,
): Promise<readonly DemoKeys[]> {
  const file = path.join(home, "demo-keys.json");
  const keys = readKeys(file);
  for (const [index, brand] of demoBrands.entries()) {
    if (keys.some(({ slug }) => slug === brand.slug)) continue;
    onStep(brand.name);
    await removeRemains(app, brand.slug);
    keys.push(await seedBrand(app, brand, seededRandom(index + 1)));
    writeKeys(file, keys);
  }
  return keys;
}

function readKeys(file: string): DemoKeys[] {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as DemoKeys[]) : [];
}

function writeKeys(file: string, keys: readonly DemoKeys[]): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(keys, undefined, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(draft, file);
}

async function removeRemains({ tenants }: App, slug: string): Promise<void> {
  const tenant = await tenants.findBySlug(slug);
  if (!tenant) return;
  const ctx: Context = {
    tenantId: tenant.id,
    actor: { kind: "system", id: "demo" },
    requestId: `demo-${newId()}`,
  };
  if (tenant.status === "active") await tenants.suspend(ctx, tenant.id);
  const erased = await tenants.erase(ctx, tenant.id);
  if (!erased.ok)
    throw new Error(`what is left of ${slug} cannot be removed: ${erased.failure.code}`);
}
