/** One message of PostgreSQL's protocol. @see https://www.postgresql.org/docs/current/protocol-message-formats.html */
export interface WireMessage {
  readonly direction: "to_server" | "to_client";
  /** Its type byte, `Q` or `Z`; empty for the start-up message, which has none. */
  readonly type: string;
  /** The message as it is on the wire. */
  readonly bytes: Buffer;
  /** What it says, as text: the SQL of a `Q` or `P`. */
  readonly text: string;
}

const lengthBytes = 4;

/**
 * Cuts a stream of bytes into messages.
 *
 * @param onMessage called with each whole message, in order
 * @returns what to feed the chunks to
 */
export function createFramer(
  direction: WireMessage["direction"],
  onMessage: (message: WireMessage) => void,
): (chunk: Buffer) => void {
  let kept: Buffer = Buffer.alloc(0);
  // Only the very first message of a client lacks the type byte.
  let typeBytes = direction === "to_server" ? 0 : 1;
  return (chunk) => {
    kept = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    while (kept.length >= typeBytes + lengthBytes) {
      const length = typeBytes + kept.readInt32BE(typeBytes);
      if (kept.length < length) return;
      const bytes = kept.subarray(0, length);
      kept = kept.subarray(length);
      onMessage({
        direction,
        type: typeBytes === 0 ? "" : String.fromCharCode(bytes[0] ?? 0),
        bytes,
        text: bytes.toString("latin1", typeBytes + lengthBytes),
      });
      typeBytes = 1;
    }
  };
}

/** Whether a message is the COMMIT of a transaction. */
export function isCommit(message: WireMessage): boolean {
  return (
    message.direction === "to_server" && message.type === "Q" && /^commit\0/.test(message.text)
  );
}
