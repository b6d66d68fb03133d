import { classifyError, type ErrorClass } from "../resilience/resilience.ts";
import { OutgoingError } from "./errors.ts";

/** What of an answer decides. */
interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** Answers that ask to come back later. Whether they were done is not known: a gateway may say 504. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** What an error says about trying again: without a connection nothing was sent, by any method. */
export function classifyOutgoing(error: unknown): ErrorClass {
  if (!(error instanceof OutgoingError)) return classifyError(error);
  if (error.code === "ERR_OUTGOING_CONNECT") return "transient";
  if (error.code === "ERR_OUTGOING_BROKEN" || error.code === "ERR_OUTGOING_TIMEOUT") {
    return "timeout";
  }
  return error.code === "ERR_OUTGOING_ABORTED" ? "aborted" : "permanent";
}

/** What an answer says about trying again; undefined for one to keep. */
export function classifyAnswer(answer: unknown): ErrorClass | undefined {
  return passing.has((answer as Answer).status) ? "timeout" : undefined;
}

/** When the peer wants to be asked again, milliseconds; 0 when it does not say. RFC 9110, 10.2.3. */
export function retryAfterMs(outcome: unknown): number {
  const asked = (outcome as Partial<Answer>).headers?.["retry-after"];
  if (typeof asked !== "string") return 0;
  const ms = /^\d+$/.test(asked) ? Number(asked) * 1_000 : Date.parse(asked) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}
