import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import type { TenantId } from "../../kernel/ids.ts";
import type { MakePolicy } from "./eviction.ts";
import { createLocalStore } from "./local-store.ts";

/** A recorded sequence of requests. */
export interface Trace {
  readonly name: string;
  readonly keys: readonly string[];
  /** Bytes, as many as keys. */
  readonly sizes: readonly number[];
}

/** What a replay missed. */
export interface Misses {
  readonly count: number;
  readonly bytes: number;
}

/** What the simulator libCacheSim counts for the block trace, by algorithm and size of cache. */
export interface ExpectedMisses {
  readonly cache_sizes_bytes: readonly number[];
  readonly algorithms: Readonly<
    Record<string, { readonly miss_count: number[]; readonly miss_bytes: number[] }>
  >;
}

/** Unpacks a file by the program `xz`. @throws when there is none */
function unpack(file: string): Buffer {
  return execFileSync("xz", ["-dc", file], { maxBuffer: 1e9 });
}

/** Whether `xz` can be called. */
export function hasXz(): boolean {
  try {
    execFileSync("xz", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Reads of a virtual disk. @param folder the data sets */
export function readBlockTrace(folder: string): Trace {
  const bytes = unpack(path.join(folder, "cache/cloudPhysicsIO.oracleGeneral.bin.xz"));
  const at = Array.from({ length: bytes.length / 24 }, (_, index) => index * 24);
  return {
    name: "block reads",
    keys: at.map((offset) => String(bytes.readBigUInt64LE(offset + 4))),
    sizes: at.map((offset) => bytes.readUInt32LE(offset + 12)),
  };
}

/** Views of a shop's product pages, each of size 1. @param folder the data sets */
export function readShopTrace(folder: string): Trace {
  const bytes = unpack(path.join(folder, "cache/ecommerce-product-page-web12.i32.xz"));
  const at = Array.from({ length: bytes.length / 4 }, (_, index) => index * 4);
  return {
    name: "product pages",
    keys: at.map((offset) => String(bytes.readInt32LE(offset))),
    sizes: at.map(() => 1),
  };
}

/** Reads what libCacheSim counts. @param folder the data sets */
export function readExpectedMisses(folder: string): ExpectedMisses {
  const file = path.join(folder, "cache/libcachesim-expected.json");
  return JSON.parse(readFileSync(file, "utf8")) as ExpectedMisses;
}

const tenantId = "trace" as TenantId;

/** Replays a trace through a store: a miss stores the object, a hit keeps the stored size. */
export function replay(trace: Trace, policy: MakePolicy, bytesMax: number): Misses {
  const store = createLocalStore<true>({ bytesMax, entriesMax: 1e9, policy });
  let [count, bytes] = [0, 0];
  for (const [at, key] of trace.keys.entries()) {
    if (store.get(tenantId, key, 0)) continue;
    const sizeBytes = trace.sizes[at] ?? 0;
    count++;
    bytes += sizeBytes;
    store.set(tenantId, key, true, { sizeBytes, expiresAtMs: 1 });
  }
  return { count, bytes };
}
