import { createLocalStore } from "../../platform/cache/cache.ts";
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

interface Kept {
  /** Of the catalog, as of which the quote holds. */
  readonly version: number;
  /** Nothing: there is no such variant. */
  readonly quote: VariantQuote | undefined;
}

/** What a quote takes, on average, with what it lies in, bytes. */
const quoteBytes = 1_000;

/**
 * Keeps quotes in memory, each with the catalog version it is of: a transaction that finds all it
 * needs asks the database for one number instead of the quotes.
 *
 * Every use reads the version in the caller's transaction, so that a quote is never older than a
 * catalog write the transaction can see; the version is read before the quotes it vouches for. Not
 * for a transaction that has itself written to the catalog: what it sees may never be committed.
 * @param quotesMax quotes kept over all tenants; what is not asked for goes first
 */
export function createQuoteCache({ quotesMax }: { readonly quotesMax: number }): QuoteVariants {
  const store = createLocalStore<Kept>({
    entriesMax: quotesMax,
    bytesMax: quotesMax * quoteBytes,
  });
  const placing = { sizeBytes: quoteBytes, expiresAtMs: Number.POSITIVE_INFINITY };
  return async (tx, variantIds, currency, versions) => {
    const { tenantId } = tx;
    const version = catalogVersionIn(versions ?? (await readVersions(tx)));
    const keyOf = (id: string) => `${currency} ${id}`;
    const found = new Map<string, VariantQuote | undefined>();
    for (const id of variantIds) {
      const kept = store.get(tenantId, keyOf(id), 0);
      if (kept?.version === version) found.set(id, kept.quote);
    }
    const missing = [...new Set(variantIds.filter((id) => !found.has(id)))];
    const loaded = missing.length > 0 ? await quoteVariants(tx, missing, currency) : [];
    const byId = new Map<string, VariantQuote>(loaded.map((quote) => [quote.variantId, quote]));
    for (const id of missing) {
      const quote = byId.get(id);
      found.set(id, quote);
      // A transaction that began before the last write must not bring back what it still sees.
      const kept = store.peek(tenantId, keyOf(id))?.value;
      if (!kept || kept.version < version) {
        store.set(tenantId, keyOf(id), { version, quote }, placing);
      }
    }
    return [...found.values()].filter((quote) => quote !== undefined);
  };
}
