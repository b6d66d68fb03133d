/** What may be turned while the bank runs. Rates are probabilities, 0 to 1. */
export interface Knobs {
  /** Added to every request that moves money, milliseconds. */
  readonly latencyMs: number;
  /** Up to this much more, at random, milliseconds. */
  readonly latencyJitterMs: number;
  /** How long the slow card takes, milliseconds. */
  readonly slowMs: number;
  /** How long after the request the late card is charged, milliseconds. */
  readonly lateMs: number;
  /** Charges refused as `card_declined` whatever the card says. */
  readonly declineRate: number;
  /** Requests that never reach the bank. */
  readonly requestLossRate: number;
  /** Answers that never reach the merchant, after the bank has acted. */
  readonly answerLossRate: number;
  /** `cut` closes the connection of a lost message, `hang` leaves the merchant waiting. */
  readonly lossStyle: "cut" | "hang";
  /** How long a hanging connection is kept, milliseconds. */
  readonly hangMs: number;
  /** `refuse` answers 503 to everything, `hang` answers nothing. */
  readonly outage: "none" | "refuse" | "hang";
  readonly webhooksEnabled: boolean;
  /** How long after the fact a notice is sent: banks are in no hurry, milliseconds. */
  readonly webhookDelayMs: number;
  /** Notices sent twice. */
  readonly webhookDuplicateRate: number;
  /** Notices whose first delivery is lost. */
  readonly webhookLossRate: number;
  /** Notices are held back at random up to this long, so that they overtake each other, milliseconds. */
  readonly webhookShuffleMs: number;
}

/** A bank that behaves. */
export const calmKnobs: Knobs = {
  latencyMs: 0,
  latencyJitterMs: 0,
  slowMs: 2_000,
  lateMs: 8_000,
  declineRate: 0,
  requestLossRate: 0,
  answerLossRate: 0,
  lossStyle: "hang",
  hangMs: 30_000,
  outage: "none",
  webhooksEnabled: true,
  webhookDelayMs: 250,
  webhookDuplicateRate: 0,
  webhookLossRate: 0,
  webhookShuffleMs: 0,
};

const texts: Readonly<Partial<Record<keyof Knobs, readonly string[]>>> = {
  lossStyle: ["cut", "hang"],
  outage: ["none", "refuse", "hang"],
};

/** Turns some knobs. @returns the new setting, or the name of the first that makes no sense */
export function turnKnobs(
  knobs: Knobs,
  changes: Readonly<Record<string, unknown>>,
): Knobs | { readonly refused: string } {
  for (const [name, value] of Object.entries(changes)) {
    if (!Object.hasOwn(calmKnobs, name) || !isSensible(name as keyof Knobs, value)) {
      return { refused: name };
    }
  }
  return { ...knobs, ...changes };
}

function isSensible(name: keyof Knobs, value: unknown): boolean {
  const choices = texts[name];
  if (choices) return choices.includes(String(value));
  if (typeof calmKnobs[name] === "boolean") return typeof value === "boolean";
  const max = name.endsWith("Rate") ? 1 : 600_000;
  return typeof value === "number" && value >= 0 && value <= max;
}
