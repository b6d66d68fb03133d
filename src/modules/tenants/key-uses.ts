import { createBufferedWrites } from "../../platform/cache/cache.ts";
import { noTenant } from "../../platform/http/request-call.ts";
import type { ApiKeyId } from "./contract.ts";
import type { KeyUse } from "./store.ts";

/** Notes uses of keys behind the requests that they came with. */
export interface KeyUses {
  /** Costs the request nothing, and is lost with the process. */
  note(keyId: ApiKeyId): void;
  /** Writes what was noted. May be called twice. */
  stop(): Promise<void>;
}

/** How long uses gather before they are written together, milliseconds. */
const gatherMs = 2_000;

/**
 * Makes the notes of a process.
 *
 * @param write writes uses of many keys at once
 * @param onFailed told when that failed; it is tried again
 */
export function createKeyUses(
  write: (uses: readonly KeyUse[]) => Promise<void>,
  onFailed: (error: unknown) => void = () => {},
): KeyUses {
  const writes = createBufferedWrites<Date>({
    name: "tenants.key_uses",
    gatherMs,
    // A use that finds no room is not worth waiting for.
    whenFull: "refuse",
    sink: (_, puts) =>
      write(puts.flatMap(({ key: keyId, value: at }) => (at ? [{ keyId, at }] : []))),
    onEvent(event) {
      if (event.kind === "apply_failed" || event.kind === "parked") onFailed(event.error);
    },
  });
  return {
    note(keyId) {
      // Keys of all tenants lie in one table: they are written together, under none.
      writes.write(noTenant, [{ key: keyId, value: new Date() }]).catch(() => {});
    },
    stop: writes.stop,
  };
}
