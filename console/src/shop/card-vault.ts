/** What is on a card. Goes to the provider, never to the shop's own server. */
export interface CardDetails {
  readonly number: string;
  /** `MM/YY`. */
  readonly expiry: string;
  readonly cvc: string;
}

/** The provider does not take the card. */
export class CardRefused extends Error {
  override readonly name = "CardRefused";
}

const refusals: Readonly<Record<string, string>> = {
  invalid_number: "This is not a card number.",
  invalid_expiry: "Write the expiry as MM/YY.",
  expired_card: "This card has expired.",
  invalid_cvc: "The security code has three or four digits.",
};

/**
 * Exchanges a card for a token at the provider.
 *
 * @throws CardRefused when the provider does not take it
 */
export async function tokenise(url: string, card: CardDetails): Promise<string> {
  const [month = "", year = ""] = card.expiry.split("/").map((part) => part.trim());
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      number: card.number,
      expMonth: Number(month),
      expYear: Number(year),
      cvc: card.cvc,
    }),
    credentials: "omit",
    referrerPolicy: "no-referrer",
  });
  const body = (await response.json().catch(() => ({}))) as { token?: string; code?: string };
  if (response.ok && body.token) return body.token;
  throw new CardRefused(refusals[body.code ?? ""] ?? "The provider does not take this card.");
}
