/** What the bank's log says of one payment, added up from its movements alone. */
export interface BankSums {
  readonly account: string;
  readonly paymentId: string;
  readonly currency: string;
  readonly authorisedMinor: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  /** How many times money was taken: more than once under automatic capture is a double charge. */
  readonly captures: number;
}

/**
 * Adds up a log line by line, without the bank's own code: what money moved is the sum of the movements,
 * whatever the snapshots beside them say.
 *
 * @param log text of the log, JSON lines
 * @param account only this merchant's; all of them when left out
 * @returns one entry per payment that moved money, by payment id
 */
export function addUpLog(log: string, account?: string): ReadonlyMap<string, BankSums> {
  const sums = new Map<string, BankSums>();
  for (const line of log.split("\n")) {
    if (line === "") continue;
    const { kind, payment, movements } = JSON.parse(line);
    if (kind !== "payment" || (account !== undefined && payment.account !== account)) continue;
    for (const { type, amountMinor } of movements) {
      const known = sums.get(payment.paymentId) ?? empty(payment);
      sums.set(payment.paymentId, {
        ...known,
        authorisedMinor: known.authorisedMinor + (type === "authorised" ? amountMinor : 0),
        capturedMinor: known.capturedMinor + (type === "captured" ? amountMinor : 0),
        refundedMinor: known.refundedMinor + (type === "refunded" ? amountMinor : 0),
        captures: known.captures + (type === "captured" ? 1 : 0),
      });
    }
  }
  for (const [id, sum] of sums) if (sum.authorisedMinor === 0) sums.delete(id);
  return sums;
}

function empty(payment: Pick<BankSums, "account" | "paymentId" | "currency">): BankSums {
  const { account, paymentId, currency } = payment;
  return {
    account,
    paymentId,
    currency,
    authorisedMinor: 0,
    capturedMinor: 0,
    refundedMinor: 0,
    captures: 0,
  };
}
