import { newId } from "../../kernel/ids.ts";
import type { RingMember } from "./ring-member.ts";

/** A way of one process to a tier that can be cut: what is asked then fails. */
export function cuttable(tier: () => RingMember) {
  let [isCut, life] = [false, "first"];
  const guard =
    <Args extends readonly unknown[], Value>(call: (...args: Args) => Promise<Value>) =>
    async (...args: Args): Promise<Value> => {
      if (isCut) throw new Error("cut");
      return call(...args);
    };
  const way: RingMember = {
    name: "memory",
    read: guard((all) => tier().read(all)),
    write: guard((all) => tier().write(all)),
    remove: guard((all) => tier().remove(all)),
    claim: guard((key, leaseMs) => tier().claim(key, leaseMs)),
    fill: guard((claim, entry) => tier().fill(claim, entry)),
    unclaim: guard((claim, key) => tier().unclaim(claim, key)),
    epochs: guard((all) => tier().epochs(all)),
    knownEpochs: guard((all) => tier().knownEpochs(all)),
    renew: guard((all) => tier().renew(all)),
    lift: guard((tags, epochs) => tier().lift(tags, epochs)),
    life: guard(async () => life),
  };
  return {
    way,
    cut: () => {
      isCut = true;
    },
    mend: () => {
      isCut = false;
    },
    restart: () => {
      life = newId();
    },
  };
}
