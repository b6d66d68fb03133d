import type { RingMember } from "./ring-member.ts";

/**
 * The generation of a member: a number that lies in the member itself, as the epoch of a tag. Every
 * value there says in which generation it was written, every tag is of one generation. So raising it
 * leaves nothing to believe of what the member had.
 */
export interface Generation {
  /**
   * Begins a new one.
   *
   * @returns its number: an epoch of this member, larger than every one before
   */
  raise(): Promise<number>;
  /** Learns of one that another process began. */
  look(): Promise<void>;
  /** The number of the one that is known. */
  current(): number;
  /** Marks a value as of a generation: that of before it was loaded, or that of now. */
  stamp(bytes: Buffer, generation?: number): Buffer;
  /** @returns the value, unless it was written in an older generation */
  open(stamped: Buffer): Buffer | undefined;
  /** Name of a tag in this generation. */
  tag(name: string): string;
  /**
   * Renews tags so that whoever looks in this or a later generation sees it.
   *
   * @returns the new epochs, as many as tags
   */
  renew(tags: readonly string[]): Promise<readonly number[]>;
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
  const tag = (name: string) => `${known.toString(36)}:${name}`;
  return {
    look,
    async raise() {
      await tier.renew([generationTag]);
      await look();
      return known;
    },
    current: () => known,
    stamp(bytes, generation = known) {
      const stamped = Buffer.allocUnsafe(stampBytes + bytes.length);
      stamped.writeDoubleBE(generation, 0);
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
    tag,
    async renew(tags) {
      for (;;) {
        const before = known;
        const epochs = await tier.renew(tags.map(tag));
        // Nobody looks in a generation that is over: of before the server was emptied, or doubted.
        await look();
        if (known === before) return epochs;
      }
    },
  };
}
