import { createReadStream, existsSync, statSync } from "node:fs";
import { newId } from "../kernel/ids.ts";
import { findTenant, inSession, type Output, operatorContext, UsageError } from "./program.ts";
import { createProgress } from "./progress.ts";

/** `brandos import catalog FILE --tenant T`: CSV or JSON lines, by the file's ending. */
export async function importCatalogCommand(
  output: Output,
  file: string,
  options: { readonly tenant: string },
): Promise<void> {
  if (!existsSync(file)) throw new UsageError(`there is no file ${file}`);
  const format = /\.csv$/i.test(file)
    ? "csv"
    : /\.(jsonl|ndjson)$/i.test(file)
      ? "jsonl"
      : undefined;
  if (!format) throw new UsageError("the file ends in .csv, .jsonl or .ndjson");
  const { size } = statSync(file);
  const progress = createProgress(output);
  const done = await inSession(output, async (session) => {
    const { id } = await findTenant(session, options.tenant);
    try {
      return await session.app.commerce.catalog.importProducts(operatorContext(id), {
        id: newId<"import">(),
        format,
        source: createReadStream(file),
        bytesTotal: size,
        onProgress: ({ bytesDone }) => progress.update(bytesDone, size, "importing"),
      });
    } finally {
      progress.stop();
    }
  });
  if (!done.ok) throw new UsageError(`refused: ${JSON.stringify(done.failure)}`);
  const { created, updated, unchanged, refused } = done.value;
  output.answer(
    done.value,
    () => `created ${created}, updated ${updated}, unchanged ${unchanged}, refused ${refused}`,
  );
}
