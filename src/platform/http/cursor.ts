import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { assert } from "../../kernel/assert.ts";
import type { TenantId } from "../../kernel/ids.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";

/** What a cursor is good for: the same list of the same tenant, asked in the same way. */
export interface CursorScope {
  readonly tenantId: TenantId;
  /** Name of the list and its order: `orders by placed_at desc`. */
  readonly list: string;
  /** The filters in force; absent fields and `undefined` are the same. */
  readonly filter?: Readonly<Record<string, unknown>>;
}

/** Values of the sort key and the id of the last item of a page. */
export type CursorPosition = readonly (string | number | boolean | null)[];

/** A cursor that was not made for this list: altered, another tenant's, or of another filter. */
export interface BadCursor {
  readonly code: "request.bad_cursor";
  readonly detail: string;
}

/** Signs and reads cursors with one secret. */
export interface CursorSigner {
  sign(scope: CursorScope, position: CursorPosition): string;
  read(scope: CursorScope, cursor: string): Result<CursorPosition, BadCursor>;
}

const macBytes = 16;
const cursorCharsMax = 2_000;

/**
 * Makes a signer. Nodes that share a load balancer share the secret.
 *
 * @param secret at least 16 bytes
 */
export function createCursorSigner(secret: string | Uint8Array): CursorSigner {
  assert(secret.length >= 16, "a cursor secret has at least 16 bytes");
  const macOf = (scope: CursorScope, body: Buffer): Buffer =>
    createHmac("sha256", secret)
      .update(JSON.stringify([scope.tenantId, scope.list, sortedEntries(scope.filter)]))
      .update("\0")
      .update(body)
      .digest()
      .subarray(0, macBytes);
  return {
    sign(scope, position) {
      const body = Buffer.from(JSON.stringify(position));
      return Buffer.concat([macOf(scope, body), body]).toString("base64url");
    },
    read(scope, cursor) {
      if (cursor.length > cursorCharsMax || !/^[\w-]+$/.test(cursor)) return fail(badCursor);
      const bytes = Buffer.from(cursor, "base64url");
      if (bytes.length <= macBytes) return fail(badCursor);
      const body = bytes.subarray(macBytes);
      if (!timingSafeEqual(bytes.subarray(0, macBytes), macOf(scope, body))) return fail(badCursor);
      return ok(JSON.parse(body.toString("utf8")) as CursorPosition);
    },
  };
}

const badCursor: BadCursor = {
  code: "request.bad_cursor",
  detail: "this cursor does not belong to this list; start again without one",
};

function sortedEntries(filter: CursorScope["filter"]): readonly (readonly [string, unknown])[] {
  return Object.entries(filter ?? {})
    .filter(([, value]) => value !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

let signer = createCursorSigner(randomBytes(32));

/**
 * Sets the secret of {@link signCursor} and {@link readCursor} for this process, once, at start.
 * Until then it is random: cursors of one process are refused by another.
 */
export function useCursorSecret(secret: string): void {
  signer = createCursorSigner(createHash("sha256").update(`cursors\0${secret}`).digest());
}

/** Makes the opaque cursor of the page that begins after `position`. */
export function signCursor(scope: CursorScope, position: CursorPosition): string {
  return signer.sign(scope, position);
}

/** Reads a cursor back. @returns request.bad_cursor (400) for one that was not made for `scope` */
export function readCursor(scope: CursorScope, cursor: string): Result<CursorPosition, BadCursor> {
  return signer.read(scope, cursor);
}
