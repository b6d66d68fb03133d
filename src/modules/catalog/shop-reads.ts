import type { TenantId } from "../../kernel/ids.ts";
import type { InvalidationSource } from "../../platform/cache/announce.ts";
import {
  type Cache,
  type CacheConfig,
  createCache,
  type Invalidation,
  type Loaded,
} from "../../platform/cache/cache.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import type { RecordedEvent } from "../../platform/events/event.ts";
import type { Principal } from "../../platform/http/principal.ts";
import { readVersions } from "../../platform/versions/versions.ts";
import type { Collection, ProductFilter } from "./contract.ts";
import { type ProductAnswer, productAnswer } from "./product-answer.ts";
import {
  catalogVersionIn,
  countProducts,
  findCollection,
  findProduct,
  listCollections,
  listProducts,
  type ProductPosition,
} from "./queries.ts";

/** A product in a list of a shop. */
export interface ShopListed {
  readonly product: ProductAnswer;
  readonly titleKey: string;
}

/** Where a page begins, and how long it is at most. */
export interface ProductPageRequest {
  readonly after?: ProductPosition | undefined;
  readonly limit: number;
}

type Maybe<Value> = Value | Promise<Value>;

/** What shops ask of the catalog: only what is published, and from memory where it still holds. */
export interface ShopReads {
  product(tenantId: TenantId, idOrHandle: string): Maybe<ProductAnswer | undefined>;
  products(
    tenantId: TenantId,
    filter: ProductFilter,
    page: ProductPageRequest,
  ): Maybe<readonly ShopListed[]>;
  count(tenantId: TenantId, filter: ProductFilter): Maybe<number>;
  collection(tenantId: TenantId, idOrHandle: string): Maybe<Collection | undefined>;
  collections(
    tenantId: TenantId,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Maybe<readonly Collection[]>;
  /** What happened since the start, and what is held. */
  stats(): ReturnType<Cache<unknown>["stats"]>;
  stop(): Promise<void>;
}

/** What a cache of the product is given from outside: the tier that nodes share, and who tells of changes. */
export type CacheWiring = Pick<CacheConfig<never>, "tier" | "invalidations" | "onEvent">;

/** Whether somebody sees what shops see; secret keys see everything, as it is now. */
export function isOfShop(principal: Principal | undefined): boolean {
  return principal?.kind !== "secret" && principal?.kind !== "operator";
}

/** Name of the cache, in keys and invalidations. */
export const shopCache = "catalog.shop";

/** A question, as a key. What is asked for one thing begins with the kind of thing and its name. */
type Question =
  | readonly ["product", idOrHandle: string]
  | readonly ["products", filter: ProductFilter, page: ProductPageRequest]
  | readonly ["count", filter: ProductFilter]
  | readonly ["collection", idOrHandle: string]
  | readonly ["collections", after: string | null, limit: number];

type Answer = ProductAnswer | Collection | readonly ShopListed[] | readonly Collection[] | number;

const listsTag = "lists";

/**
 * Makes the shops' view. Answers are as of a version of the catalog; an event of the catalog tells all
 * nodes which of them are older than the truth. Should one be missed, a minute ends it; should the
 * database be away, shops are answered for a minute more.
 */
export function createShopReads(db: Db, wiring: CacheWiring = {}): ShopReads {
  const cache: Cache<Answer> = createCache<Answer>({
    name: shopCache,
    load: (tenantId, keys) => loadAnswers(db, tenantId, keys),
    ttlMs: 60_000,
    freshMs: 50_000,
    staleIfErrorMs: 60_000,
    tagsOfKey: (key) => (isListKey(key) ? [listsTag] : []),
    tagsOfValue: (_, value) => tagsOf(value),
    // The shape of answers: another program's are not understood.
    version: "1",
    ...wiring,
  });
  const ask = <Value>(tenantId: TenantId, question: Question) =>
    cache.get(tenantId, JSON.stringify(question)) as Maybe<Value>;
  return {
    product: (tenantId, idOrHandle) => ask(tenantId, ["product", idOrHandle]),
    products: (tenantId, filter, page) => ask(tenantId, ["products", filter, page]),
    count: (tenantId, filter) => ask(tenantId, ["count", filter]),
    collection: (tenantId, idOrHandle) => ask(tenantId, ["collection", idOrHandle]),
    collections: (tenantId, { after, limit }) =>
      ask(tenantId, ["collections", after ?? null, limit]),
    stats: cache.stats,
    stop: cache.stop,
  };
}

function isListKey(key: string): boolean {
  return !(key.startsWith('["product",') || key.startsWith('["collection",'));
}

/** A thing is found under its id and under its handle: both name it. */
function tagsOf(value: Answer): readonly string[] {
  return typeof value === "object" && "id" in value ? [value.id] : [];
}

/** Answers questions in one transaction, as of the version that was read first. */
function loadAnswers(db: Db, tenantId: TenantId, keys: readonly string[]): Promise<Loaded<Answer>> {
  return db.read(
    tenantId,
    async (tx) => {
      const versions = readVersions(tx);
      const values = keys.map((key) => answer(tx, JSON.parse(key) as Question));
      return { values: await Promise.all(values), asOf: catalogVersionIn(await versions) };
    },
    { name: "catalog.shop_read" },
  );
}

async function answer(tx: TenantTx, question: Question): Promise<Answer | undefined> {
  switch (question[0]) {
    case "product": {
      const product = await findProduct(tx, question[1]);
      return product?.status === "published" ? productAnswer(product, true) : undefined;
    }
    case "products": {
      const found = await listProducts(tx, question[1], question[2]);
      return found.map(({ product, titleKey }) => ({
        product: productAnswer(product, true),
        titleKey,
      }));
    }
    case "count":
      return countProducts(tx, question[1]);
    case "collection":
      return findCollection(tx, question[1]);
    case "collections":
      return listCollections(tx, { after: question[1] ?? undefined, limit: question[2] });
  }
}

/** Turns events of the catalog into news for the shops' caches. */
export const shopInvalidations: InvalidationSource = {
  name: "catalog.shop_cache",
  eventTypes: [
    "catalog.product_created",
    "catalog.product_updated",
    "catalog.collection_created",
    "catalog.collection_updated",
    "catalog.collection_deleted",
  ],
  map: (event) => [staleAfter(event)],
};

/** What an event makes untrue. */
export function staleAfter(event: Pick<RecordedEvent, "type" | "tenantId" | "data">): Invalidation {
  const { tenantId, type, data } = event;
  const about = { cache: shopCache, tenantId, position: Number(data["catalogVersion"]) };
  // Products say which collections they are in.
  if (type === "catalog.collection_deleted") return about;
  const kind = type.startsWith("catalog.product") ? "product" : "collection";
  const id = String(data[`${kind}Id`]);
  // The name it had before is found by the tag; under the one it has now there may be a "not found".
  const keys = [id, String(data["handle"])].map((name) => JSON.stringify([kind, name]));
  return { ...about, keys, tags: [listsTag, id] };
}
