import { accessSync, constants, existsSync } from "node:fs";
import path from "node:path";

/** Something tests use when it is there, and skip themselves without. */
export interface OptionalPart {
  readonly name: "Redis" | "NATS" | "Chromium" | "real data" | "PgBouncer";
  /** Path of the program or folder, nothing when it is not there. */
  readonly found: string | undefined;
  /** How to get it. */
  readonly how: string;
}

/** Looks for every optional part. `BRANDOS_CHROMIUM` and `BRANDOS_REAL_DATA` override the search. */
export function optionalParts(): readonly OptionalPart[] {
  return [
    { name: "Redis", found: program("redis-server"), how: "apt-get install redis-server" },
    { name: "NATS", found: program("nats-server"), how: "put nats-server on the PATH" },
    { name: "PgBouncer", found: program("pgbouncer"), how: "apt-get install pgbouncer" },
    {
      name: "Chromium",
      found: given("BRANDOS_CHROMIUM") ?? program("chromium", "chromium-browser", "google-chrome"),
      how: "apt-get install chromium, or set BRANDOS_CHROMIUM",
    },
    {
      name: "real data",
      found: given("BRANDOS_REAL_DATA"),
      how: "set BRANDOS_REAL_DATA to a folder of data sets",
    },
  ];
}

/** Where an optional part is. @returns nothing when it is not there */
export function findOptional(name: OptionalPart["name"]): string | undefined {
  return optionalParts().find((part) => part.name === name)?.found;
}

/**
 * For the `skip` option of a test that needs an optional part.
 *
 * @returns false to run, or the reason to skip
 */
export function skipWithout(name: OptionalPart["name"]): false | string {
  const part = optionalParts().find((candidate) => candidate.name === name);
  return part?.found === undefined ? `needs ${name}: ${part?.how}` : false;
}

function given(variable: string): string | undefined {
  const value = process.env[variable];
  return value !== undefined && value !== "" && existsSync(value) ? value : undefined;
}

function program(...names: readonly string[]): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(path.delimiter);
  const usual = ["/usr/sbin", "/usr/local/bin"];
  for (const name of names) {
    for (const folder of [...folders, ...usual]) {
      const file = path.join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined;
}
