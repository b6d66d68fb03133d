import { isDeepStrictEqual } from "node:util";
import type { Context } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import { findUnstorableText, isStorableText } from "../../kernel/text.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { appendEvents, type EventOrigin } from "../../platform/events/events.ts";
import type { CommandDeps, Outcome } from "./commands.ts";
import type { CatalogFailure, Collection, CollectionId } from "./contract.ts";
import { findCollection, isUuid } from "./queries.ts";
import {
  bumpCatalog,
  deleteCollection as deleteCollectionRow,
  findCollections,
  insertCollections,
  lockCatalog,
  writeCollection,
} from "./store.ts";
import { findHandleProblem, findIdProblem, outside } from "./validate.ts";

/** A collection to be made. */
export interface NewCollection {
  readonly id?: CollectionId;
  readonly handle: string;
  readonly title: string;
  readonly description?: string;
}

/** What may be set on a collection; absent leaves it. */
export type CollectionPatch = Partial<Omit<NewCollection, "id">>;

/** Which collection, and the version the change is meant for. */
export interface CollectionTarget {
  readonly id: CollectionId;
  readonly expectedVersion?: number | undefined;
}

/** Makes a collection. */
export function createCollection(
  { work }: CommandDeps,
  ctx: Context,
  { id = newId<"collection">(), handle, title, description = "" }: NewCollection,
): Outcome<Collection> {
  const collection: Collection = { id, handle, title, description, version: 1 };
  return work.transact<Collection, CatalogFailure>(
    ctx,
    async (tx) => {
      const problem = findProblem(collection);
      if (problem) return fail(problem);
      const [catalogVersion, existing] = await Promise.all([
        lockCatalog(tx),
        findCollection(tx, id),
      ]);
      // A retry with the caller's own id is the same command.
      if (existing && isDeepStrictEqual(existing, collection)) return ok(existing);
      if (existing) return fail({ code: "catalog.id_taken", id });
      return write(tx, ctx, { collection, catalogVersion, type: "catalog.collection_created" });
    },
    { name: "catalog.create_collection" },
  );
}

/** Changes a collection. */
export function updateCollection(
  { work }: CommandDeps,
  ctx: Context,
  { id, expectedVersion }: CollectionTarget,
  patch: CollectionPatch,
): Outcome<Collection> {
  return work.transact<Collection, CatalogFailure>(
    ctx,
    async (tx) => {
      const [catalogVersion, before] = await Promise.all([lockCatalog(tx), findCollection(tx, id)]);
      if (!before) return fail({ code: "catalog.collection_not_found", collection: id });
      if (expectedVersion !== undefined && expectedVersion !== before.version) {
        return fail({ code: "catalog.stale", version: before.version });
      }
      const collection: Collection = {
        id: before.id,
        handle: patch.handle ?? before.handle,
        title: patch.title ?? before.title,
        description: patch.description ?? before.description,
        version: before.version + 1,
      };
      const problem = findProblem(collection);
      if (problem) return fail(problem);
      return write(tx, ctx, { collection, catalogVersion, type: "catalog.collection_updated" });
    },
    { name: "catalog.update_collection" },
  );
}

/** Deletes a collection; its products stay. */
export function deleteCollection(
  { work }: CommandDeps,
  ctx: Context,
  id: CollectionId,
): Outcome<void> {
  return work.transact<void, CatalogFailure>(
    ctx,
    async (tx) => {
      const [catalogVersion, before] = await Promise.all([lockCatalog(tx), findCollection(tx, id)]);
      if (!before) return fail({ code: "catalog.collection_not_found", collection: id });
      deleteCollectionRow(tx, before.id);
      bumpCatalog(tx);
      append(tx, ctx, { collection: before, catalogVersion, type: "catalog.collection_deleted" });
      return ok(undefined);
    },
    { name: "catalog.delete_collection" },
  );
}

/**
 * Makes the collections that are missing among some handles, titled like them, in the caller's
 * transaction. What cannot be a handle is passed over.
 */
export async function ensureCollections(
  tx: TenantTx,
  origin: EventOrigin,
  handles: ReadonlySet<string>,
): Promise<void> {
  const wanted = [...handles].filter(
    (handle) =>
      isStorableText(handle) && findHandleProblem(handle) === undefined && !isUuid(handle),
  );
  if (wanted.length === 0) return;
  const [catalogVersion, found] = await Promise.all([lockCatalog(tx), findCollections(tx, wanted)]);
  const known = new Set(found.map(({ handle }) => handle));
  const missing = wanted
    .filter((handle) => !known.has(handle))
    .map((handle) => ({ id: newId<"collection">(), handle, title: handle }));
  if (missing.length === 0) return;
  insertCollections(tx, missing);
  bumpCatalog(tx);
  appendEvents(
    tx,
    origin,
    missing.map(({ id, ...names }) => ({
      type: "catalog.collection_created",
      version: 1,
      stream: `collection:${id}`,
      data: { collectionId: id, ...names, catalogVersion },
    })),
  );
}

interface Change {
  readonly type:
    | "catalog.collection_created"
    | "catalog.collection_updated"
    | "catalog.collection_deleted";
  readonly collection: Collection;
  readonly catalogVersion: number;
}

async function write(
  tx: TenantTx,
  ctx: Context,
  change: Change,
): Promise<Result<Collection, CatalogFailure>> {
  const { collection } = change;
  const holders = await findCollections(tx, [collection.handle]);
  if (holders.some(({ id }) => id !== collection.id)) {
    return fail({ code: "catalog.handle_taken", handle: collection.handle });
  }
  writeCollection(tx, collection);
  bumpCatalog(tx);
  append(tx, ctx, change);
  return ok(collection);
}

function append(tx: TenantTx, ctx: Context, { type, collection, catalogVersion }: Change): void {
  const { id, handle, title } = collection;
  const data = { collectionId: id, handle, title, catalogVersion };
  appendEvents(tx, ctx, [{ type, version: 1, stream: `collection:${id}`, data }]);
}

function findProblem(collection: Collection): CatalogFailure | undefined {
  const bad = findUnstorableText(collection);
  const problem = bad
    ? { field: bad, reason: "contains a NUL or half a surrogate pair" }
    : (findIdProblem(collection.id) ??
      findHandleProblem(collection.handle) ??
      outside("title", collection.title, [1, 500]) ??
      outside("description", collection.description, [0, 50_000]));
  return problem && { code: "catalog.invalid", ...problem };
}
