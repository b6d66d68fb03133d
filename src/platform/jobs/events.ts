import type { Outcome } from "./settle.ts";

/** What the jobs mechanism tells its observers. */
export type JobsEvent =
  | {
      readonly kind: "claimed";
      readonly queue: string;
      readonly jobs: number;
      readonly elapsedMs: number;
    }
  | {
      /** A run is over; unless its outcome is `stored`, that is stored a moment later. */
      readonly kind: "finished";
      readonly queue: string;
      readonly jobKind: string;
      readonly jobId: string;
      readonly tenantId: string;
      readonly attempt: number;
      readonly outcome: Outcome | "stored" | "gone";
      readonly elapsedMs: number;
      /** Why, unless it completed. */
      readonly error?: unknown;
    }
  /** So many jobs of this process were taken away: their lease was lost. */
  | { readonly kind: "lost"; readonly jobs: number }
  /** So many jobs of dead workers were taken over. */
  | { readonly kind: "reclaimed"; readonly jobs: number }
  /** A schedule fell due and its jobs were enqueued. */
  | { readonly kind: "scheduled"; readonly schedule: string; readonly jobs: number }
  /** A part of the mechanism failed and tries again. */
  | { readonly kind: "error"; readonly where: string; readonly error: unknown };
