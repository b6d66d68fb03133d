import { createHash, type Hash } from "node:crypto";
import { present } from "../../kernel/assert.ts";
import type { Context } from "../../kernel/context.ts";
import { newId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Db, TenantTx } from "../../platform/db/db.ts";
import { splitsOnDataErrors } from "../../platform/db/errors.ts";
import { appendEvents } from "../../platform/events/events.ts";
import { ensureCollections } from "./collections.ts";
import { upsertProductsIn } from "./commands.ts";
import type {
  CatalogFailure,
  CatalogImport,
  ImportFailure,
  ImportId,
  ImportRefusal,
  ProductInput,
} from "./contract.ts";
import { type FileRecord, readRecords } from "./csv-records.ts";
import { createRowReader, type ImportFormat, type RowRead, type RowReader } from "./import-rows.ts";
import {
  advanceImport,
  findImport,
  finishImport,
  insertImport,
  insertRefusals,
  type StoredImport,
} from "./import-store.ts";

/** A file to be imported. */
export interface ImportCommand {
  /** Names the import: sending the file again under the same id goes on where it stopped. */
  readonly id?: ImportId;
  readonly format: ImportFormat;
  readonly source: AsyncIterable<Uint8Array>;
  /** Size of the file where it is known; for the progress only. */
  readonly bytesTotal?: number | undefined;
  /** Called after each committed batch. */
  readonly onProgress?: (progress: CatalogImport) => void;
}

/** Rows in one transaction. */
const batchRows = 500;
const rawCharsMax = 2_000;

/**
 * Imports products from a file, row by row in the order of the file; a row that cannot be used is
 * recorded and the next one is read. Memory is two batches, whatever the size of the file.
 *
 * Each batch commits together with its checkpoint: after a crash the same file under the same id
 * goes on behind the last committed row, and a finished import is answered without doing anything.
 * @returns catalog.import_differs when the file is not the one the import began with,
 *   catalog.import_busy when another call is importing under the same id
 */
export async function importProducts(
  db: Db,
  ctx: Context,
  command: ImportCommand,
): Promise<Result<CatalogImport, ImportFailure>> {
  const id = command.id ?? newId<"import">();
  const begun = await begin(db, ctx, { ...command, id });
  if (begun.format !== command.format) return fail(differs(begun));
  if (begun.status === "receiving") return fail({ code: "catalog.import_busy", importId: id });
  const reader = createRowReader(command.format);
  const run: Run = { db, ctx, command, reader };
  const imported = await importBatches(run, begun);
  return imported.ok ? finish(run, imported.value) : imported;
}

/** While a batch is being committed the next one is read. */
async function importBatches(
  run: Run,
  begun: StoredImport,
): Promise<Result<StoredImport, ImportFailure>> {
  let committing: Promise<Result<StoredImport, ImportFailure>> = Promise.resolve(ok(begun));
  try {
    for await (const batch of readBatches(run, begun)) {
      const done = await committing;
      if (!done.ok) return done;
      if (!batch.ok) return batch;
      run.ctx.signal?.throwIfAborted();
      committing = commitBatch(run, done.value, batch.value);
      // Its outcome is looked at in the next turn; until then a rejection is nobody's surprise.
      committing.catch(() => {});
    }
  } finally {
    // A source that breaks off leaves no commit behind that nobody waits for.
    await committing.catch(() => {});
  }
  return committing;
}

interface Run {
  readonly db: Db;
  readonly ctx: Context;
  readonly command: ImportCommand;
  readonly reader: RowReader;
}

async function begin(
  db: Db,
  ctx: Context,
  { id, format, bytesTotal }: ImportCommand & { readonly id: ImportId },
): Promise<StoredImport> {
  return db.commit(
    ctx.tenantId,
    async (tx) => {
      const [isNew, stored] = await Promise.all([
        insertImport(tx, { id, format, bytesTotal: bytesTotal ?? null }),
        findImport(tx, id),
      ]);
      const known = present(stored, "an import that was just begun");
      if (isNew) append(tx, ctx, "catalog.import_started", known);
      return known;
    },
    { name: "catalog.begin_import" },
  );
}

interface Row extends FileRecord {
  readonly row: number;
  readonly read: RowRead;
}

interface Batch {
  readonly rows: readonly Row[];
  /** Over the raw records before the batch. */
  readonly before: Hash;
  /** Bytes of the file before the batch. */
  readonly bytesBefore: number;
}

function hashBehind({ rows, before }: Batch): Hash {
  const hash = before.copy();
  for (const { raw } of rows) hash.update(raw).update("\n");
  return hash;
}

function bytesBehind({ rows, bytesBefore }: Batch): number {
  return rows.reduce((sum, { raw }) => sum + bytesOf(raw), bytesBefore);
}

/** Size of a record with its line end. */
function bytesOf(raw: string): number {
  return Buffer.byteLength(raw) + 1;
}

/** Reads batches of rows behind the checkpoint, and checks that what is before it is the same file. */
async function* readBatches(
  run: Run,
  begun: StoredImport,
): AsyncGenerator<Result<Batch, ImportFailure>> {
  const { reader } = run;
  const hash = createHash("sha256");
  let rows: Row[] = [];
  let rowNumber = 0;
  let bytesDone = 0;
  let start = { before: hash.copy(), bytesBefore: 0 };
  let isHeaderRead = !reader.hasHeader;
  const isSame = () => hash.copy().digest("hex") === begun.prefixSha256;
  for await (const record of readRecords(...recordSource(run))) {
    if (rows.length === 0) start = { before: hash.copy(), bytesBefore: bytesDone };
    hash.update(record.raw).update("\n");
    bytesDone += bytesOf(record.raw);
    if (!isHeaderRead) {
      const header = reader.begin(record);
      if (!header.ok) return yield header;
      isHeaderRead = true;
      continue;
    }
    rowNumber++;
    if (rowNumber <= begun.rowsDone) {
      if (rowNumber === begun.rowsDone && !isSame()) return yield fail(differs(begun));
      continue;
    }
    if (begun.status === "finished") return yield fail(differs(begun));
    rows.push({ ...record, row: rowNumber, read: reader.read(record) });
    if (rows.length < batchRows) continue;
    yield ok({ ...start, rows });
    rows = [];
  }
  if (rowNumber < begun.rowsDone) return yield fail(differs(begun));
  if (!isHeaderRead) {
    return yield fail({ code: "catalog.import_header", reason: "the file is empty" });
  }
  if (rows.length > 0) yield ok({ ...start, rows });
}

/** The record reader of CSV depends on the first line: it is made when the first record is asked for. */
function recordSource({ command, reader }: Run): Parameters<typeof readRecords> {
  let read: ReturnType<RowReader["recordReader"]> | undefined;
  return [
    command.source,
    (text, from, isEnd) => {
      const lineEnd = text.indexOf("\n", from);
      if (!read && lineEnd < 0 && !isEnd) return { kind: "incomplete" };
      read ??= reader.recordReader(lineEnd < 0 ? text : text.slice(from, lineEnd));
      return read(text, from, isEnd);
    },
  ];
}

/** Commits a batch with its checkpoint; if the database refuses it as a whole, in ever smaller parts. */
async function commitBatch(
  run: Run,
  before: StoredImport,
  batch: Batch,
): Promise<Result<StoredImport, ImportFailure>> {
  try {
    return await commitRows(run, before, batch);
  } catch (error) {
    if (!splitsOnDataErrors(error)) throw error;
    if (batch.rows.length === 1) return commitRows(run, before, refused(batch));
  }
  const middle = Math.ceil(batch.rows.length / 2);
  const head: Batch = { ...batch, rows: batch.rows.slice(0, middle) };
  const first = await commitBatch(run, before, head);
  if (!first.ok) return first;
  const tail: Batch = {
    rows: batch.rows.slice(middle),
    before: hashBehind(head),
    bytesBefore: bytesBehind(head),
  };
  return commitBatch(run, first.value, tail);
}

function refused(batch: Batch): Batch {
  const read: RowRead = { refusal: { field: "", reason: "the database refuses this row" } };
  return { ...batch, rows: batch.rows.map((row) => ({ ...row, read })) };
}

function commitRows(
  { db, ctx, command }: Run,
  before: StoredImport,
  batch: Batch,
): Promise<Result<StoredImport, ImportFailure>> {
  return db
    .transact<StoredImport, ImportFailure>(
      ctx.tenantId,
      async (tx) => {
        const stored = await findImport(tx, before.id, true);
        if (stored?.rowsDone !== before.rowsDone || stored.status === "finished") {
          return fail({ code: "catalog.import_busy", importId: before.id });
        }
        const outcome = await storeRows(tx, ctx, batch.rows);
        const bytesDone = bytesBehind(batch);
        const prefixSha256 = hashBehind(batch).digest("hex");
        const { counts, refusals } = outcome;
        advanceImport(tx, { id: before.id, ...counts, bytesDone, prefixSha256 });
        insertRefusals(tx, before.id, refusals);
        return ok({
          ...before,
          rowsDone: before.rowsDone + batch.rows.length,
          created: before.created + counts.created,
          updated: before.updated + counts.updated,
          unchanged: before.unchanged + counts.unchanged,
          refused: before.refused + counts.refused,
          bytesDone,
          prefixSha256,
        });
      },
      { name: "catalog.import_batch" },
    )
    .then((result) => {
      if (result.ok) command.onProgress?.(result.value);
      return result;
    });
}

interface Stored {
  readonly counts: Readonly<Record<"created" | "updated" | "unchanged" | "refused", number>>;
  readonly refusals: readonly ImportRefusal[];
}

async function storeRows(tx: TenantTx, ctx: Context, rows: readonly Row[]): Promise<Stored> {
  const counts = { created: 0, updated: 0, unchanged: 0, refused: 0 };
  const refusals: ImportRefusal[] = [];
  const refuse = ({ row, line, raw }: Row, field: string, reason: string) => {
    counts.refused++;
    const text = raw.slice(0, rawCharsMax).replaceAll("\0", "\u{fffd}").toWellFormed();
    refusals.push({ row, line, field, reason, raw: text });
  };
  const usable: { readonly row: Row; readonly input: ProductInput }[] = [];
  for (const row of rows) {
    const { input, refusal } = row.read;
    if (input) usable.push({ row, input });
    else refuse(row, refusal.field.toWellFormed(), refusal.reason.toWellFormed());
  }
  const inputs = usable.map(({ input }) => input);
  if (inputs.length > 0) {
    await ensureCollections(tx, ctx, new Set(inputs.flatMap((input) => input.collections ?? [])));
    const results = await upsertProductsIn(tx, ctx, inputs);
    for (const [index, result] of results.entries()) {
      const { row } = present(usable[index], "the row of a result");
      if (result.ok) counts[result.value.outcome]++;
      else refuse(row, ...whyRefused(result.failure));
    }
  }
  return { counts, refusals: refusals.toSorted((a, b) => a.row - b.row) };
}

function whyRefused(failure: CatalogFailure): readonly [field: string, reason: string] {
  switch (failure.code) {
    case "catalog.invalid":
      return [failure.field.toWellFormed(), failure.reason];
    case "catalog.handle_taken":
      return ["handle", `${failure.handle} belongs to another product`];
    case "catalog.sku_taken":
      return ["sku", `${failure.sku} belongs to another variant`];
    case "catalog.id_taken":
      return ["id", `${failure.id} belongs to something else`];
    case "catalog.collection_not_found":
      return ["collections", "is not the handle of a collection"];
    case "catalog.product_not_found":
    case "catalog.variant_not_found":
    case "catalog.stale":
      return ["", failure.code];
  }
}

function finish(
  { db, ctx }: Run,
  before: StoredImport,
): Promise<Result<CatalogImport, ImportFailure>> {
  if (before.status === "finished") return Promise.resolve(ok(before));
  return db.transact<CatalogImport, ImportFailure>(
    ctx.tenantId,
    async (tx) => {
      const stored = await findImport(tx, before.id, true);
      if (stored?.rowsDone !== before.rowsDone) {
        return fail({ code: "catalog.import_busy", importId: before.id });
      }
      if (stored.status === "finished") return ok(stored);
      finishImport(tx, before.id);
      append(tx, ctx, "catalog.import_finished", stored);
      return ok(present(await findImport(tx, before.id), "a finished import"));
    },
    { name: "catalog.finish_import" },
  );
}

function append(
  tx: TenantTx,
  ctx: Context,
  type: "catalog.import_started" | "catalog.import_finished",
  { id, format, rowsDone, refused: refusedRows }: StoredImport,
): void {
  const data = { importId: id, format, rowsDone, refused: refusedRows };
  appendEvents(tx, ctx, [{ type, version: 1, stream: `catalog_import:${id}`, data }]);
}

function differs({ id, rowsDone }: StoredImport): ImportFailure {
  return { code: "catalog.import_differs", importId: id, rows: rowsDone };
}
