import { ProblemError } from "@brandos/sdk";

const wording: Readonly<Record<string, string>> = {
  "inventory.out_of_stock": "Sorry, there is not enough left of something in your cart.",
  "checkout.payment_declined": "The card was declined.",
  "carts.already_ordered": "This cart has been ordered already.",
  "carts.unknown_variant": "Something in your cart is no longer sold.",
  "carts.no_price": "Something in your cart has no price in this currency.",
  "carts.unknown_shipping_method": "This way of shipping is no longer offered.",
  "auth.invalid_credential": "This key is not known, or has been revoked.",
  "auth.forbidden": "This key is not allowed to do that.",
};

/** Says what a code means, for people. */
export function sayCode(code: string): string {
  return wording[code] ?? `${code.slice(code.indexOf(".") + 1).replaceAll("_", " ")}.`;
}

/** Says what went wrong, for people. */
export function sayProblem(error: unknown): string {
  if (error instanceof ProblemError) {
    const { problem } = error;
    const parts = (problem.errors ?? []).map(({ pointer, parameter, detail }) =>
      `${pointer ?? parameter ?? ""} ${detail}`.trim(),
    );
    const known = wording[problem.code];
    const said = known ?? problem.detail ?? problem.title;
    return parts.length > 0 ? `${said} (${parts.join("; ")})` : said;
  }
  if (error instanceof TypeError) return "The server cannot be reached.";
  return error instanceof Error ? error.message : String(error);
}
