import type { RingMember } from "./ring-member.ts";

/**
 * The generation of a member: a number that lies in the member itself, as the epoch of a tag. Every
 * value there says in which generation it was written, every tag is of one generation. So raising it
 * leaves nothing to believe of what the member had.
 */
export interface Generation {
  /** Begins a new one. */
  raise(): Promise<void>;
  /** Learns of one that another process began. */
  look(): Promise<void>;
  /** Marks a value as written now. */
  stamp(bytes: Buffer): Buffer;
  /** @returns the value, unless it was written in an older generation */
  open(stamped: Buffer): Buffer | undefined;
  /** Name of a tag in this generation. */
  tag(name: string): string;
}

const generationTag = "ring:generation";
const stampBytes = 8;

/** Makes one that is not known yet: `look` or `raise` first. */
export function createGeneration(tier: Pick<RingMember, "epochs" | "renew">): Generation {
  let known = 0;
  const look = async () => {
    const [current = 0] = await tier.epochs([generationTag]);
    // A server that was emptied while its clock was set back may say less than it did.
    known = Math.max(known, current);
  };
  return {
    look,
    async raise() {
      await tier.renew([generationTag]);
      await look();
    },
    stamp(bytes) {
      const stamped = Buffer.allocUnsafe(stampBytes + bytes.length);
      stamped.writeDoubleBE(known, 0);
      bytes.copy(stamped, stampBytes);
      return stamped;
    },
    open(stamped) {
      if (stamped.length < stampBytes) return undefined;
      const written = stamped.readDoubleBE(0);
      if (!Number.isSafeInteger(written) || written < known) return undefined;
      known = written;
      return stamped.subarray(stampBytes);
    },
    tag: (name) => `${known.toString(36)}:${name}`,
  };
}
