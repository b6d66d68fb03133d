import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import type { ImportId } from "./contract.ts";
import type { ImportFormat } from "./import-rows.ts";

/** A request that sends a file, and the import it sends it for. */
export interface Upload {
  readonly id: ImportId;
  readonly format: ImportFormat;
  /** Names this request among all that ever sent a file under this id. */
  readonly uploadId: string;
}

/**
 * Takes an import for an upload, making it where it is missing; a request that was sending before
 * may add nothing any more, and what it sent is forgotten.
 *
 * @returns false when the file is complete already
 */
export async function beginUpload(tx: TenantTx, upload: Upload): Promise<boolean> {
  const taken = await tx.run(sql("catalog.begin_upload")`
    insert into catalog_imports (tenant_id, id, format, status, upload_id)
    values (${tx.tenantId}, ${upload.id}, ${upload.format}, 'receiving', ${upload.uploadId})
    on conflict (tenant_id, id) do update set upload_id = excluded.upload_id, updated_at = now()
      where catalog_imports.status = 'receiving' and catalog_imports.format = excluded.format`);
  if (taken === 0) return false;
  deleteChunks(tx, upload.id);
  return true;
}

/** Adds a chunk to a file. @returns false when another request sends under this id by now */
export async function insertChunk(
  tx: TenantTx,
  upload: Upload,
  { chunk, bytes }: { readonly chunk: number; readonly bytes: Uint8Array },
): Promise<boolean> {
  const added = await tx.run(sql("catalog.insert_chunk")`
    insert into catalog_import_chunks (tenant_id, import_id, chunk, bytes)
    select tenant_id, id, ${chunk}, ${bytes} from catalog_imports
    where tenant_id = ${tx.tenantId} and id = ${upload.id} and upload_id = ${upload.uploadId}
      and status = 'receiving'
    for update`);
  return added === 1;
}

/** Marks a file as complete. @returns false when another request sends under this id by now */
export async function completeUpload(
  tx: TenantTx,
  upload: Upload,
  bytesTotal: number,
): Promise<boolean> {
  const moved = await tx.run(sql("catalog.complete_upload")`
    update catalog_imports
    set status = 'running', bytes_total = ${bytesTotal}, upload_id = null, updated_at = now()
    where tenant_id = ${tx.tenantId} and id = ${upload.id} and upload_id = ${upload.uploadId}
      and status = 'receiving'`);
  return moved === 1;
}

/** Reads one chunk of a file. */
export async function findChunk(
  tx: TenantTx,
  id: ImportId,
  chunk: number,
): Promise<Uint8Array | undefined> {
  const row = await tx.maybe<{ bytes: Uint8Array }>(sql("catalog.find_chunk")`
    select bytes from catalog_import_chunks
    where tenant_id = ${tx.tenantId} and import_id = ${id} and chunk = ${chunk}`);
  return row?.bytes;
}

/** Forgets a file, with the commit. */
export function deleteChunks(tx: TenantTx, id: ImportId): void {
  tx.write(sql("catalog.delete_chunks")`
    delete from catalog_import_chunks where tenant_id = ${tx.tenantId} and import_id = ${id}`);
}

/** Marks an import as failed, with the commit. */
export function failImport(tx: TenantTx, id: ImportId, failure: string): void {
  tx.write(sql("catalog.fail_import")`
    update catalog_imports
    set status = 'failed', failure = ${failure}, finished_at = now(), updated_at = now()
    where tenant_id = ${tx.tenantId} and id = ${id} and status = 'running'`);
}
