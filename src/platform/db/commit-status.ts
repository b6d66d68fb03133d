/** What the server says about a transaction id, and which life of the server says it. */
export interface StatusAnswer {
  /** `pg_xact_status`: committed, aborted, in progress; null when it is too old. */
  readonly status?: string | null;
  readonly life?: string;
}

/**
 * What may be believed of the answer. In a crash the ids of transactions whose WAL never reached the
 * disk are lost, and given again afterwards: "committed" may then be said of somebody else's
 * transaction. "aborted" may be believed: the id of a durable transaction is never given again.
 *
 * @param before life of the server when the transaction ran; undefined when it is not known
 */
export function believedStatus({ status, life }: StatusAnswer, before: string | undefined): string {
  if (status === "aborted") return status;
  return life !== undefined && life === before ? (status ?? "unknown") : "unknown";
}
