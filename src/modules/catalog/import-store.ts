import type { TenantTx } from "../../platform/db/db.ts";
import { fragment, sql } from "../../platform/db/sql.ts";
import type { CatalogImport, ImportId, ImportRefusal } from "./contract.ts";

interface ImportRow {
  readonly id: ImportId;
  readonly format: CatalogImport["format"];
  readonly status: CatalogImport["status"];
  readonly rows_done: number;
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly refused: number;
  readonly bytes_done: number;
  readonly bytes_total: number | null;
  readonly prefix_sha256: string;
  readonly failure: string | null;
  readonly started_at: Date;
  readonly finished_at: Date | null;
}

/** An import with the mark by which its file is recognised. */
export interface StoredImport extends CatalogImport {
  /** SHA-256 of the raw records up to the checkpoint, hex; empty before the first. */
  readonly prefixSha256: string;
}

/** How far a batch brought an import. */
export interface Advance {
  readonly id: ImportId;
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly refused: number;
  readonly bytesDone: number;
  readonly prefixSha256: string;
}

const columns = fragment`id, format, status, rows_done, created, updated, unchanged, refused,
  bytes_done, bytes_total, prefix_sha256, failure, started_at, finished_at`;

/** Begins an import unless its id is there. @returns whether it is new */
export async function insertImport(
  tx: TenantTx,
  { id, format, bytesTotal }: Pick<CatalogImport, "id" | "format" | "bytesTotal">,
): Promise<boolean> {
  const count = await tx.run(sql("catalog.insert_import")`
    insert into catalog_imports (tenant_id, id, format, status, bytes_total)
    values (${tx.tenantId}, ${id}, ${format}, 'running', ${bytesTotal})
    on conflict (tenant_id, id) do nothing`);
  return count === 1;
}

/** Reads an import; `lock` holds it until the transaction ends. */
export async function findImport(
  tx: TenantTx,
  id: ImportId,
  lock = false,
): Promise<StoredImport | undefined> {
  const row = await tx.maybe<ImportRow>(sql("catalog.find_import")`
    select ${columns} from catalog_imports
    where tenant_id = ${tx.tenantId} and id = ${id} ${lock ? fragment`for update` : fragment``}`);
  return row && toImport(row);
}

/** Moves the checkpoint of a locked import, with the commit. */
export function advanceImport(tx: TenantTx, advance: Advance): void {
  const { created, updated, unchanged, refused } = advance;
  tx.write(sql("catalog.advance_import")`
    update catalog_imports set
      rows_done = rows_done + ${created + updated + unchanged + refused}::bigint,
      created = created + ${created}, updated = updated + ${updated},
      unchanged = unchanged + ${unchanged}, refused = refused + ${refused},
      bytes_done = ${advance.bytesDone}, prefix_sha256 = ${advance.prefixSha256}, updated_at = now()
    where tenant_id = ${tx.tenantId} and id = ${advance.id}`);
}

/** Marks a locked import as finished, with the commit. */
export function finishImport(tx: TenantTx, id: ImportId): void {
  tx.write(sql("catalog.finish_import")`
    update catalog_imports set status = 'finished', failure = null, finished_at = now(),
      updated_at = now(),
      bytes_total = coalesce(bytes_total, bytes_done)
    where tenant_id = ${tx.tenantId} and id = ${id}`);
}

/** Records refused rows, with the commit. */
export function insertRefusals(
  tx: TenantTx,
  importId: ImportId,
  refusals: readonly ImportRefusal[],
): void {
  if (refusals.length === 0) return;
  tx.write(sql("catalog.insert_refusals")`
    insert into catalog_import_refusals (tenant_id, import_id, row, line, field, reason, raw)
    select ${tx.tenantId}, ${importId}, * from unnest(
      ${refusals.map(({ row }) => row)}::bigint[],
      ${refusals.map(({ line }) => line)}::bigint[],
      ${refusals.map(({ field }) => field)}::text[],
      ${refusals.map(({ reason }) => reason)}::text[],
      ${refusals.map(({ raw }) => raw)}::text[])`);
}

/** Lists refused rows in the order of the file, behind the row `after`. */
export function listRefusals(
  tx: TenantTx,
  importId: ImportId,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<readonly ImportRefusal[]> {
  return tx.rows<ImportRefusal>(sql("catalog.list_refusals")`
    select row, line, field, reason, raw from catalog_import_refusals
    where tenant_id = ${tx.tenantId} and import_id = ${importId} and row > ${after}
    order by row limit ${limit}`);
}

/** Lists imports, newest first, behind the one with the id `after`. */
export async function listImports(
  tx: TenantTx,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<readonly CatalogImport[]> {
  const behind = after ? fragment`and id < ${after}` : fragment``;
  const rows = await tx.rows<ImportRow>(sql("catalog.list_imports")`
    select ${columns} from catalog_imports
    where tenant_id = ${tx.tenantId} ${behind} order by id desc limit ${limit}`);
  return rows.map(toImport);
}

function toImport(row: ImportRow): StoredImport {
  return {
    id: row.id,
    format: row.format,
    status: row.status,
    failure: row.failure,
    rowsDone: row.rows_done,
    created: row.created,
    updated: row.updated,
    unchanged: row.unchanged,
    refused: row.refused,
    bytesDone: row.bytes_done,
    bytesTotal: row.bytes_total,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    prefixSha256: row.prefix_sha256,
  };
}
