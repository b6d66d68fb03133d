import { present } from "../../kernel/assert.ts";
import type { Context } from "../../kernel/context.ts";
import { newId, type TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Db } from "../../platform/db/db.ts";
import { appendEvents } from "../../platform/events/events.ts";
import { enqueueJobs } from "../../platform/jobs/jobs.ts";
import type { CatalogImport, ImportFailure, ImportId } from "./contract.ts";
import { type ImportCommand, importProducts } from "./import-commands.ts";
import { findImport } from "./import-store.ts";
import {
  beginUpload,
  completeUpload,
  deleteChunks,
  failImport,
  findChunk,
  insertChunk,
  type Upload,
} from "./upload-store.ts";

/** Kind of the job that imports a file that was kept. */
export const uploadJob = "catalog.import_upload";

/** Bytes of a file in one row. */
const chunkBytes = 1_048_576;

/**
 * Keeps a file and leaves its import to a job: for files that need longer than a caller may wait.
 *
 * Sending again under the same id while the file is incomplete starts the file over; once it is
 * complete it changes nothing.
 * @returns the import, waiting for its job; catalog.import_busy when another request has begun to
 *   send under the same id
 */
export async function uploadProducts(
  db: Db,
  ctx: Context,
  { id = newId<"import">(), format, source }: Omit<ImportCommand, "onProgress">,
): Promise<Result<CatalogImport, ImportFailure>> {
  const upload: Upload = { id, format, uploadId: newId() };
  const name = "catalog.upload";
  const { tenantId } = ctx;
  const isTaken = await db.commit(tenantId, (tx) => beginUpload(tx, upload), { name });
  if (!isTaken) return ok(await readImport(db, tenantId, id));
  const busy: ImportFailure = { code: "catalog.import_busy", importId: id };
  let chunk = 0;
  let bytesTotal = 0;
  for await (const bytes of inChunks(source)) {
    const at = chunk++;
    const isMine = await db.commit(
      tenantId,
      (tx) => insertChunk(tx, upload, { chunk: at, bytes }),
      {
        name,
      },
    );
    if (!isMine) return fail(busy);
    bytesTotal += bytes.length;
  }
  const total = bytesTotal;
  return db.transact<CatalogImport, ImportFailure>(
    tenantId,
    async (tx) => {
      if (!(await completeUpload(tx, upload, total))) return fail(busy);
      enqueueJobs(tx, ctx, [{ kind: uploadJob, payload: { importId: id, format }, uniqueKey: id }]);
      const data = { importId: id, format, rowsDone: 0, refused: 0 };
      const stream = `catalog_import:${id}`;
      appendEvents(tx, ctx, [{ type: "catalog.import_started", version: 1, stream, data }]);
      return ok(present(await findImport(tx, id), "an import that was just received"));
    },
    { name },
  );
}

/**
 * Imports a file that was kept, and forgets the file. Going on after an interruption, it begins
 * behind the last checkpoint; an import that has ended is left alone.
 *
 * @throws Error when another run imports under the same id: to be tried again later
 */
export async function importUpload(
  db: Db,
  ctx: Context,
  command: Pick<ImportCommand, "format" | "onProgress"> & { readonly id: ImportId },
): Promise<void> {
  const { tenantId } = ctx;
  const before = await readImport(db, tenantId, command.id);
  if (before.status === "running") {
    const source = chunksOf(db, tenantId, command.id);
    const done = await importProducts(db, ctx, { ...command, source });
    if (!done.ok) {
      const { failure } = done;
      if (failure.code === "catalog.import_busy") throw new Error("another run imports this file");
      const text = "reason" in failure ? `${failure.code}: ${failure.reason}` : failure.code;
      await db.commit(tenantId, async (tx) => failImport(tx, command.id, text), {
        name: "catalog.fail_import",
      });
    }
  }
  await db.commit(tenantId, async (tx) => deleteChunks(tx, command.id), {
    name: "catalog.forget_upload",
  });
}

async function readImport(db: Db, tenantId: TenantId, id: ImportId): Promise<CatalogImport> {
  const found = await db.read(tenantId, (tx) => findImport(tx, id), { name: "catalog.read" });
  return present(found, "an import that was begun");
}

async function* chunksOf(db: Db, tenantId: TenantId, id: ImportId): AsyncGenerator<Uint8Array> {
  for (let chunk = 0; ; chunk++) {
    const at = chunk;
    const bytes = await db.read(tenantId, (tx) => findChunk(tx, id, at), {
      name: "catalog.read_upload",
    });
    if (!bytes) return;
    yield bytes;
  }
}

/** Gathers what comes in small pieces into rows of a sensible size. */
async function* inChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of source) {
    pieces.push(piece);
    length += piece.length;
    if (length < chunkBytes) continue;
    yield Buffer.concat(pieces);
    pieces = [];
    length = 0;
  }
  if (length > 0) yield Buffer.concat(pieces);
}
