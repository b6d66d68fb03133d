import {
  type BreakerState,
  createBreaker,
  createTally,
  createTimeout,
  type DependencyFigures,
  openCall,
} from "../resilience/resilience.ts";
import { RedisError, toRedisError } from "./errors.ts";

/** Bounds of the commands to one server. */
export interface GuardLimits {
  readonly commandTimeoutMs: number;
  readonly breakerThreshold: number;
  readonly breakerOpenMs: number;
  readonly breakerOpenMaxMs: number;
}

/** A timeout and a breaker around every command to one server. */
export interface Guard {
  /** @throws RedisError */
  send<Reply>(command: () => Promise<Reply>): Promise<Reply>;
  refuses(): boolean;
  /** The server is there: a connection to it was made. */
  reset(): void;
  figures(): DependencyFigures;
}

/**
 * Makes one. Commands share a timer: the client's own `commandTimeout` sets one for each.
 *
 * @param name of the server, for messages
 */
export function createGuard(
  name: string,
  limits: GuardLimits,
  onChange: (state: BreakerState) => void,
): Guard {
  const tally = createTally(`redis/${name}`);
  const time = createTimeout({ name, timeoutMs: limits.commandTimeoutMs, onEvent: tally.onEvent });
  const breaker = createBreaker({
    name,
    failuresInARow: limits.breakerThreshold,
    openMs: limits.breakerOpenMs,
    openMaxMs: limits.breakerOpenMaxMs,
    // What the server refuses it has at least read.
    isFailure: (error) => toRedisError(error, name).code === "ERR_REDIS_UNAVAILABLE",
    onEvent(event) {
      tally.onEvent(event);
      if (event.kind === "breaker") onChange(event.state);
    },
  });
  /** None has a deadline of its own: a command takes less than a request may. */
  const anyCall = openCall();
  const rename = (error: unknown): never => {
    throw error instanceof RedisError ? error : toRedisError(error, name);
  };
  return {
    send(command) {
      tally.call();
      return breaker.run((call) => time.run(command, call), anyCall).catch(rename);
    },
    refuses: breaker.refuses,
    reset: breaker.reset,
    figures: () => tally.figures(breaker.state()),
  };
}
