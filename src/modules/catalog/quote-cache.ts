import type { TenantId } from "../../kernel/ids.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { readVersions, type Versions } from "../../platform/versions/versions.ts";
import type { VariantQuote } from "./contract.ts";
import { catalogVersionIn, quoteVariants } from "./queries.ts";

/**
 * Quotes variants like `quoteVariants`, from memory where they still hold.
 *
 * @param versions as read in this transaction, by whoever had a statement to send it with
 */
export type QuoteVariants = (
  tx: TenantTx,
  variantIds: readonly string[],
  currency: string,
  versions?: Versions,
) => Promise<readonly VariantQuote[]>;

interface TenantQuotes {
  readonly version: number;
  /** By currency and variant; null for a variant that does not exist. */
  readonly quotes: Map<string, VariantQuote | null>;
}

/**
 * Keeps quotes in memory, per tenant and catalog version: a transaction that finds all it needs
 * asks the database for one number instead of the quotes.
 *
 * Every use reads the version in the caller's transaction, so that a quote is never older than a
 * catalog write the transaction can see; the version is read before the quotes it vouches for. Not
 * for a transaction that has itself written to the catalog: what it sees may never be committed.
 * @param quotesMax quotes kept over all tenants; the tenant unused for longest is dropped first
 */
export function createQuoteCache({ quotesMax }: { readonly quotesMax: number }): QuoteVariants {
  const tenants = new Map<TenantId, TenantQuotes>();
  let kept = 0;
  const drop = (tenantId: TenantId) => {
    kept -= tenants.get(tenantId)?.quotes.size ?? 0;
    tenants.delete(tenantId);
  };
  const tenantAt = (tenantId: TenantId, version: number): TenantQuotes => {
    const known = tenants.get(tenantId);
    if (known && known.version > version) return { version, quotes: new Map() };
    if (known && known.version < version) drop(tenantId);
    const current = known?.version === version ? known : { version, quotes: new Map() };
    // Put last: the order of a map is the order of use.
    tenants.delete(tenantId);
    tenants.set(tenantId, current);
    return current;
  };
  return async (tx, variantIds, currency, versions) => {
    const version = catalogVersionIn(versions ?? (await readVersions(tx)));
    const current = tenantAt(tx.tenantId, version);
    const keyOf = (id: string) => `${currency} ${id}`;
    const missing = variantIds.filter((id) => !current.quotes.has(keyOf(id)));
    const loaded = missing.length > 0 ? await quoteVariants(tx, missing, currency) : [];
    const byId = new Map<string, VariantQuote>(loaded.map((quote) => [quote.variantId, quote]));
    const answer = [...new Set(variantIds)].flatMap((id) => {
      const quote = current.quotes.get(keyOf(id)) ?? byId.get(id);
      return quote ? [quote] : [];
    });
    if (tenants.get(tx.tenantId) === current) {
      const before = current.quotes.size;
      for (const id of missing) current.quotes.set(keyOf(id), byId.get(id) ?? null);
      kept += current.quotes.size - before;
      for (const tenantId of tenants.keys()) {
        if (kept <= quotesMax) break;
        drop(tenantId);
      }
    }
    return answer;
  };
}
