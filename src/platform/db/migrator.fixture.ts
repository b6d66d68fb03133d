import { pathToFileURL } from "node:url";
import { type MigrationTarget, migrate } from "./migrate.ts";

/** Migrates in a process of its own, and says how that went: for tests that pause it. */
if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const target = JSON.parse(process.argv[2] ?? "{}") as MigrationTarget;
  try {
    process.send?.({ applied: await migrate(target) });
  } catch (error) {
    process.send?.({ refused: (error as Error).message });
  }
  process.disconnect?.();
}
