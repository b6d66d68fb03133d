import type { TenantId } from "../../kernel/ids.ts";
import type { Db } from "../../platform/db/db.ts";
import { invariants } from "./invariants.ts";

/** What one check found. */
export interface Finding {
  readonly id: string;
  readonly holds: boolean;
  /** Rows that break it, at most 100. */
  readonly violations: readonly Readonly<Record<string, unknown>>[];
  readonly elapsedMs: number;
}

/**
 * Checks every promise about one brand's data with SQL that shares nothing with the code it checks.
 *
 * All checks see one moment: a REPEATABLE READ transaction, as the application role of the tenant.
 */
export function examine(db: Db, tenantId: TenantId): Promise<readonly Finding[]> {
  return db.read(
    tenantId,
    async (tx) => {
      const findings: Finding[] = [];
      for (const { id, sql: text } of invariants) {
        const startedAt = performance.now();
        // The text is ours and takes no parameters; its name is the promise it checks.
        const violations = await tx.rows<Record<string, unknown>>({
          name: "",
          text,
          values: [],
        });
        const elapsedMs = Math.round(performance.now() - startedAt);
        findings.push({ id, holds: violations.length === 0, violations, elapsedMs });
      }
      return findings;
    },
    { name: "doctor", isolation: "repeatable read", statementTimeoutMs: 600_000 },
  );
}
