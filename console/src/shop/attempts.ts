/** What is known of a checkout that was sent, so that the page can be left and found again. */
export interface Attempt {
  readonly orderId: string;
  readonly cartId: string;
  readonly number?: number;
  readonly paymentId?: string | null;
  readonly currency?: string;
  readonly totalMinor?: number;
  readonly email?: string;
  readonly status: "sent" | "paid" | "authorised" | "pending" | "action_required" | "declined";
  readonly failureCode?: string;
}

const place = (orderId: string) => `brandos.attempt.${orderId}`;

/** Remembers an attempt for this tab. */
export function saveAttempt(attempt: Attempt): void {
  sessionStorage.setItem(place(attempt.orderId), JSON.stringify(attempt));
}

/** Finds an attempt of this tab again. */
export function findAttempt(orderId: string): Attempt | undefined {
  const stored = sessionStorage.getItem(place(orderId));
  return stored ? (JSON.parse(stored) as Attempt) : undefined;
}
