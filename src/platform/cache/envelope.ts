import { crc32 } from "node:zlib";

/** Turns values into bytes for the shared tier and back. */
export interface Codec<Value> {
  readonly encode: (value: Value) => Buffer;
  /** @throws on bytes it does not know; that is a miss */
  readonly decode: (bytes: Buffer) => Value;
}

/** What travels with a value. */
export interface Enclosed {
  /** The value's bytes; nothing when it is known not to exist. */
  readonly payload: Buffer | undefined;
  /** When it was loaded, epoch milliseconds by the clock of whoever did. */
  readonly loadedAtMs: number;
  /** How long loading it took, milliseconds. */
  readonly loadMs: number;
  /** Where the truth stood when it was loaded. */
  readonly asOf: number | undefined;
  readonly tags: readonly string[];
  /** The epochs that vouch for it: of the cache, the tenant, and each tag. */
  readonly epochs: readonly number[];
}

/** JSON: for values that survive it as they are. */
export const jsonCodec: Codec<unknown> = {
  encode: (value) => Buffer.from(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(bytes.toString("utf8")),
};

/** Format of the envelope: one that is not known is a miss, so versions of a program may share a tier. */
const format = 1;
const prefixBytes = 9;

interface Header {
  readonly at: number;
  readonly ms: number;
  readonly of?: number;
  readonly tags: readonly string[];
  readonly epochs: readonly number[];
  readonly missing?: true;
}

/**
 * Encloses a value: format, checksum, length of the header, header, payload.
 *
 * @param key under which it will lie: part of the checksum, so that bytes which turn up under
 *   another key, of another tenant say, are garbage there
 */
export function enclose(key: string, enclosed: Enclosed): Buffer {
  const { payload, loadedAtMs, loadMs, asOf, tags, epochs } = enclosed;
  const header: Header = {
    at: loadedAtMs,
    ms: Math.round(loadMs),
    ...(asOf === undefined ? {} : { of: asOf }),
    tags,
    epochs,
    ...(payload ? {} : { missing: true }),
  };
  const head = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt8(format, 0);
  prefix.writeUInt32LE(head.length, 5);
  const rest = payload ? [head, payload] : [head];
  prefix.writeUInt32LE(checksum(key, rest), 1);
  return Buffer.concat([prefix, ...rest]);
}

/** Opens an envelope. @returns nothing when it is not one, or is damaged */
export function disclose(key: string, bytes: Buffer): Enclosed | undefined {
  if (bytes.length < prefixBytes || bytes.readUInt8(0) !== format) return undefined;
  const headEnd = prefixBytes + bytes.readUInt32LE(5);
  if (headEnd > bytes.length) return undefined;
  if (checksum(key, [bytes.subarray(prefixBytes)]) !== bytes.readUInt32LE(1)) return undefined;
  try {
    const header = JSON.parse(bytes.toString("utf8", prefixBytes, headEnd)) as Header;
    return {
      payload: header.missing ? undefined : bytes.subarray(headEnd),
      loadedAtMs: header.at,
      loadMs: header.ms,
      asOf: header.of,
      tags: header.tags,
      epochs: header.epochs,
    };
  } catch {
    return undefined;
  }
}

function checksum(key: string, parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => crc32(part, sum), crc32(key));
}
