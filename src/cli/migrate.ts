import { readConfig } from "../config.ts";
import { openHomeDatabase } from "../home-database.ts";
import { migrationLines } from "../migration-lines.ts";
import { migrate } from "../platform/db/migrate.ts";
import { createPlacements } from "../platform/placement/placements.ts";
import type { Output } from "./program.ts";

/** `brandos migrate`: the home database first, because it knows the others. */
export async function migrateCommand(output: Output): Promise<void> {
  const config = readConfig(process.env);
  const database = await openHomeDatabase(config, output.say);
  const placements = createPlacements({
    homeUrl: database.url,
    clusters: config.database.clusters,
  });
  try {
    const onApplied = (name: string) => output.say(`applied ${name}`);
    const home = { ownerUrl: database.url, home: true, schemas: ["shared"] };
    const applied = await migrate({ ...home, lines: migrationLines, onApplied });
    for (const { database: name, ...target } of await placements.targets()) {
      const some = await migrate({ ...target, lines: migrationLines, onApplied });
      applied.push(...some.map((migration) => `${name} ${migration}`));
    }
    output.answer({ applied }, () => `${applied.length} migrations applied`);
  } finally {
    await placements.stop();
    await database.stop();
  }
}
