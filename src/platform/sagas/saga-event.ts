import type { TenantId } from "../../kernel/ids.ts";
import type { SagaId } from "./saga.ts";

/** What sagas tell their observers. */
export type SagaEvent =
  | {
      readonly kind: "completed" | "compensated" | "stuck" | "interrupted" | "failed";
      readonly name: string;
      readonly id: SagaId;
      readonly tenantId: TenantId;
      readonly elapsedMs: number;
      readonly error?: unknown;
    }
  | { readonly kind: "taken_over"; readonly database: string; readonly runs: number }
  | { readonly kind: "overflow"; readonly name: string; readonly id: SagaId }
  | { readonly kind: "sweep_failed"; readonly database: string; readonly error: unknown };
