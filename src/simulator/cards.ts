/** How a test card behaves when it is charged. */
export type Behaviour =
  | "approved"
  | "card_declined"
  | "insufficient_funds"
  | "confirmation"
  | "answer_lost"
  | "request_lost"
  | "slow"
  | "noisy_webhooks"
  | "charged_late"
  | "refund_refused";

/** A published test card. */
export interface TestCard {
  readonly number: string;
  readonly behaviour: Behaviour;
  /** Token that stands for the card without asking for one: `tok_test_approved`. */
  readonly token: string;
  /** What happens, for people. */
  readonly says: string;
}

/** The cards with a meaning; any other valid number is approved. */
export const testCards: readonly TestCard[] = [
  card("4242424242424242", "approved", "is charged"),
  card("4000000000000002", "card_declined", "is declined"),
  card("4000000000009995", "insufficient_funds", "is declined for lack of funds"),
  card("4000000000003220", "confirmation", "asks the buyer to confirm on a page of the bank"),
  card("4000000000009011", "answer_lost", "is charged, and the answer never arrives"),
  card("4000000000009029", "request_lost", "is not charged the first time, and no answer arrives"),
  card("4000000000009037", "slow", "is charged after two seconds"),
  card("4000000000009045", "noisy_webhooks", "is charged; notices come twice and out of order"),
  card("4000000000009052", "charged_late", "is charged long after everybody stopped waiting"),
  card("4000000000009060", "refund_refused", "is charged; refunds are refused"),
];

function card(number: string, behaviour: Behaviour, says: string): TestCard {
  return { number, behaviour, says, token: `tok_test_${behaviour}` };
}

/** What the bank keeps of a card: never its number. */
export interface CardToken {
  readonly token: string;
  readonly brand: string;
  readonly last4: string;
  readonly behaviour: Behaviour;
}

/** What a buyer types. */
export interface CardInput {
  readonly number: string;
  readonly expMonth: number;
  readonly expYear: number;
  readonly cvc: string;
}

/**
 * Reads what a buyer typed.
 *
 * @returns what may be kept of the card, or why it is refused: `invalid_number`, `invalid_expiry`,
 *   `expired_card`, `invalid_cvc`
 */
export function readCard(
  input: CardInput,
  now: Date,
): Omit<CardToken, "token"> | { readonly refused: string } {
  const number = input.number.replace(/[ -]/g, "");
  if (!/^\d{12,19}$/.test(number) || !passesLuhn(number)) return { refused: "invalid_number" };
  if (!Number.isInteger(input.expMonth) || input.expMonth < 1 || input.expMonth > 12) {
    return { refused: "invalid_expiry" };
  }
  const year = input.expYear < 100 ? 2000 + input.expYear : input.expYear;
  if (!Number.isInteger(year) || year > now.getUTCFullYear() + 50) {
    return { refused: "invalid_expiry" };
  }
  // A card is good until the end of the month printed on it.
  if (Date.UTC(year, input.expMonth, 1) <= now.getTime()) return { refused: "expired_card" };
  if (!/^\d{3,4}$/.test(input.cvc)) return { refused: "invalid_cvc" };
  const known = testCards.find((candidate) => candidate.number === number);
  return {
    brand: brandOf(number),
    last4: number.slice(-4),
    behaviour: known?.behaviour ?? "approved",
  };
}

/** The token that stands for a published test card, if it is one. */
export function testToken(token: string): CardToken | undefined {
  const known = testCards.find((candidate) => candidate.token === token);
  if (!known) return undefined;
  const { number, behaviour } = known;
  return { token, brand: brandOf(number), last4: number.slice(-4), behaviour };
}

/** Checks the last digit. @see ISO/IEC 7812-1 annex B */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[digits.length - 1 - index]);
    const doubled = index % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

function brandOf(number: string): string {
  if (number.startsWith("4")) return "visa";
  if (/^(5[1-5]|2[2-7])/.test(number)) return "mastercard";
  if (/^3[47]/.test(number)) return "amex";
  return "card";
}
