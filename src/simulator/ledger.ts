import { randomBytes } from "node:crypto";
import {
  type BankPayment,
  type Charge,
  type Decision,
  decideCharge,
  decideConfirmation,
  decideOperation,
  isRefusal,
  type OperationRequest,
  type Refusal,
  tombstone,
} from "./bank.ts";
import { type CardToken, testToken } from "./cards.ts";
import { type Journal, type LogEntry, type LogRecord, openJournal } from "./journal.ts";

/** The bank's memory: what its log says, and the only way to add to it. */
export interface BankLedger {
  addToken(card: Omit<CardToken, "token">): Promise<CardToken>;
  findToken(token: string): CardToken | undefined;
  find(account: string, paymentId: string): BankPayment | undefined;
  findByReference(reference: string): BankPayment | undefined;
  charge(charge: Charge, how: ChargeManner): Promise<BankPayment | Refusal>;
  confirm(payment: BankPayment, isApproved: boolean): Promise<BankPayment>;
  /** Captures, voids or refunds. Voiding a payment the bank never saw gives its id up for good. */
  operate(
    target: Target,
    request: Omit<OperationRequest, "reference">,
  ): Promise<BankPayment | Refusal>;
  noteWebhook(eventId: string, outcome: "delivered" | "given_up"): void;
  settled(): Promise<void>;
  readLog(): Promise<string>;
  stop(): Promise<void>;
}

/** Names a payment. */
export interface Target {
  readonly account: string;
  readonly paymentId: string;
}

/** How a charge is met. */
export interface ChargeManner {
  readonly card: CardToken;
  readonly isDeclined: boolean;
  readonly confirmationUrl: (reference: string) => string;
}

/** What the ledger needs from outside. */
export interface LedgerOptions {
  /** Folder of the log; exists. */
  readonly folder: string;
  readonly now: () => Date;
  readonly onFault: (error: unknown) => void;
  /** Called for each durable record that moved something. */
  readonly onRecord: (record: LogRecord) => void;
}

/**
 * Opens the ledger from its log.
 *
 * @returns it, and the records whose notices were not settled when the bank last stopped
 */
export async function openLedger(
  options: LedgerOptions,
): Promise<{ readonly ledger: BankLedger; readonly unsettled: readonly LogRecord[] }> {
  const tokens = new Map<string, CardToken>();
  const payments = new Map<string, BankPayment>();
  const byReference = new Map<string, string>();
  const unsettled = new Map<number, LogRecord>();
  const apply = (entry: LogEntry) => {
    if (entry.kind === "token") tokens.set(entry.token.token, entry.token);
    if (entry.kind !== "payment") return;
    const key = keyOf(entry.payment);
    payments.set(key, entry.payment);
    byReference.set(entry.payment.reference, key);
  };
  const replay = (record: LogRecord) => {
    apply(record);
    if (record.kind === "payment") unsettled.set(record.seq, record);
    if (record.kind === "webhook") unsettled.delete(Number(record.eventId.split("_")[1]));
  };
  const journal = await openJournal(options.folder, { ...options, replay });
  const keep = keeper(journal, apply, options.onRecord);

  const ledger: BankLedger = {
    async addToken(card) {
      const token = { ...card, token: `tok_${secret()}` };
      apply({ kind: "token", token });
      await journal.append({ kind: "token", token }).durable;
      return token;
    },
    findToken: (token) => testToken(token) ?? tokens.get(token),
    find: (account, paymentId) => payments.get(keyOf({ account, paymentId })),
    findByReference: (reference) => payments.get(byReference.get(reference) ?? ""),
    async charge(charge, { card, isDeclined, confirmationUrl }) {
      const reference = `pay_${secret()}`;
      const { brand, last4, behaviour } = card;
      const decision = decideCharge(payments.get(keyOf(charge)), charge, {
        reference,
        behaviour,
        instrument: { brand, last4 },
        isDeclined,
        confirmationUrl: confirmationUrl(reference),
      });
      return isRefusal(decision) ? decision : keep("charge", charge.paymentId, decision);
    },
    confirm: (payment, isApproved) =>
      keep("confirmation", payment.paymentId, decideConfirmation(payment, isApproved)),
    async operate({ account, paymentId }, request) {
      const known = payments.get(keyOf({ account, paymentId }));
      if (!known && request.kind !== "void") {
        return { status: 404, code: "unknown_payment" };
      }
      const payment = known ?? tombstone(account, paymentId, `pay_${secret()}`);
      const decision = decideOperation(payment, { ...request, reference: `op_${secret()}` });
      return isRefusal(decision) ? decision : keep(request.kind, request.key, decision);
    },
    noteWebhook(eventId, outcome) {
      journal.append({ kind: "webhook", eventId, outcome });
    },
    settled: () => journal.settled(),
    readLog: () => journal.read(),
    stop: () => journal.stop(),
  };
  return { ledger, unsettled: [...unsettled.values()] };
}

type Request = Extract<LogEntry, { kind: "payment" }>["request"];

/** Applies a decision at once and answers when it is durable: a repeated request waits as well. */
function keeper(
  journal: Journal,
  apply: (entry: LogEntry) => void,
  onRecord: (record: LogRecord) => void,
) {
  return async (
    request: Request,
    key: string,
    { payment, movements }: Decision,
  ): Promise<BankPayment> => {
    if (movements.length === 0) {
      await journal.settled();
      return payment;
    }
    const entry: LogEntry = { kind: "payment", request, key, movements, payment };
    apply(entry);
    const { record, durable } = journal.append(entry);
    await durable;
    onRecord(record);
    return payment;
  };
}

function keyOf({ account, paymentId }: Target): string {
  return `${account}/${paymentId}`;
}

function secret(): string {
  return randomBytes(15).toString("base64url");
}
