import { createHmac, timingSafeEqual } from "node:crypto";

/** How far a notice's time may be from ours, seconds. */
export const signatureToleranceSeconds = 300;

/** A signed notice. */
export interface SignedNotice {
  /** Exact bytes as received. */
  readonly body: Uint8Array;
  /** `t=<unix seconds>,v1=<hex>[,v1=<hex>…]`. */
  readonly signature: string;
  readonly now: Date;
}

/**
 * Checks an HMAC-SHA256 of `<t>.<body>` under any of the active secrets, in constant time.
 *
 * @returns false for a signature that is malformed, of another secret, too old or from the future
 * @see https://docs.stripe.com/webhooks#verify-manually
 */
export function verifySignature(
  { body, signature, now }: SignedNotice,
  secrets: readonly string[],
): boolean {
  const parts = signature.split(",").map((part) => part.trim().split("="));
  const t = parts.find(([name]) => name === "t")?.[1] ?? "";
  const marks = parts.filter(([name]) => name === "v1").map(([, value]) => value ?? "");
  if (!/^\d{1,12}$/.test(t) || marks.length === 0 || marks.length > 10) return false;
  const ageSeconds = Math.abs(now.getTime() / 1_000 - Number(t));
  let isValid = false;
  for (const secret of secrets) {
    const wanted = createHmac("sha256", secret).update(`${t}.`).update(body).digest();
    for (const mark of marks) {
      const given = Buffer.from(/^[0-9a-f]{64}$/.test(mark) ? mark : "", "hex");
      // Every pair is compared: the time taken tells nothing of which secret matched.
      const isSame = given.length === wanted.length && timingSafeEqual(given, wanted);
      isValid = isSame || isValid;
    }
  }
  return isValid && ageSeconds <= signatureToleranceSeconds;
}
