import { type Call, openCall, type Work } from "./call.ts";
import { classifyError } from "./classify.ts";
import type { OnResilienceEvent } from "./events.ts";
import { begin } from "./timeout.ts";

/** What to do instead. */
export interface FallbackConfig<Value> {
  /** Label in events. */
  readonly name: string;
  /** Gives the next best thing: something older, something empty. */
  readonly instead: (error: unknown) => Value | Promise<Value>;
  /** Which errors it stands in for; default: all, but not when the caller went away. */
  readonly covers?: (error: unknown) => boolean;
  readonly onEvent?: OnResilienceEvent;
}

/** Runs work, or gives the next best thing. */
export interface Fallback<Value> {
  /** @throws what `instead` throws, and errors that are not covered */
  run(work: Work<Value>, call?: Call): Promise<Value>;
}

/** Makes a fallback: the outermost layer, so that retries come first. */
export function createFallback<Value>(config: FallbackConfig<Value>): Fallback<Value> {
  const { name, instead, onEvent } = config;
  const covers = config.covers ?? ((error: unknown) => classifyError(error) !== "aborted");
  return {
    run: (work, call = openCall()) =>
      begin(work, call).catch((error) => {
        if (!covers(error)) throw error;
        onEvent?.({ kind: "fallback", name, error });
        return instead(error);
      }),
  };
}
