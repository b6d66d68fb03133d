import type { Db } from "../../platform/db/db.ts";
import { defineJob, type JobDefinition } from "../../platform/jobs/jobs.ts";
import type { ImportId } from "./contract.ts";
import type { ImportFormat } from "./import-rows.ts";
import { importUpload, uploadJob } from "./upload-commands.ts";

/** Longest one run of an import may take, milliseconds; the next run goes on behind it. */
const runTimeoutMs = 60 * 60_000;

/** What the job is told. */
type UploadPayload = { readonly importId: ImportId; readonly format: ImportFormat };

/** Jobs of the catalog. */
export function catalogJobs(db: Db): readonly JobDefinition[] {
  const upload = defineJob<UploadPayload>({
    kind: uploadJob,
    timeoutMs: runTimeoutMs,
    handle: ({ ctx, job, signal, progress }) =>
      importUpload(
        db,
        { ...ctx, signal },
        {
          id: job.payload.importId,
          format: job.payload.format,
          onProgress: ({ bytesDone, bytesTotal, rowsDone, refused }) =>
            progress(
              Math.min(1, bytesDone / Math.max(1, bytesTotal ?? 1)),
              `${rowsDone} rows, ${refused} of them refused`,
            ),
        },
      ),
  });
  return [upload];
}
