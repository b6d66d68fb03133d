import { type LaneHead, lanesPerLookMax } from "./claim.ts";
import type { LaneKey, LookDepth } from "./lanes.ts";

/** Decides when and how deep to look for lanes; each depth costs at most a twentieth of the time. */
export interface LookPlan {
  /** @returns the depth that is due, deepest first, or undefined while none is */
  due(nowMs: number): LookDepth | undefined;
  /** Where a look that was cut short goes on. */
  readonly after: LaneKey | undefined;
  /** @returns whether the look saw all lanes */
  done(depth: LookDepth, heads: readonly LaneHead[], elapsedMs: number): boolean;
}

/** How often each depth is due, milliseconds. */
export const lookEveryMs = { full: 3_000, safe: 200, near: 50 } as const;

const depths: readonly LookDepth[] = ["full", "safe", "near"];

/** Makes a plan by which everything is due at once. */
export function createLookPlan(): LookPlan {
  const dueAtMs = new Map<LookDepth, number>();
  let cursor: LaneKey | undefined;
  return {
    due: (nowMs) => depths.find((depth) => nowMs >= (dueAtMs.get(depth) ?? 0)),
    get after() {
      return cursor;
    },
    done(depth, heads, elapsedMs) {
      const nowMs = performance.now();
      // A deep look is a shallow one as well.
      for (const covered of depths.slice(depths.indexOf(depth))) {
        dueAtMs.set(covered, nowMs + Math.max(lookEveryMs[covered], elapsedMs * 20));
      }
      const isFirst = cursor === undefined;
      const isCut = heads.length >= lanesPerLookMax;
      cursor = isCut ? heads.at(-1) : undefined;
      return isFirst && !isCut;
    },
  };
}
