import { type HeldPartition, type Holder, releaseHeld, reloadHeld } from "./cursors.ts";
import { parkedStreams } from "./dead-letters.ts";
import { partitionCount } from "./event.ts";

/** The partitions of one subscription that this process holds, how far it is, and what is parked. */
export interface Holdings {
  list(): readonly HeldPartition[];
  /** Streams with parked events, by stream key; each with its partition. */
  readonly parked: Map<string, number>;
  /** Takes over what the database says. @returns whether the set of partitions changed */
  reconcile(rows: readonly HeldPartition[], share: number): boolean;
  /** Notes how far handled events go. */
  moveTo(places: readonly HeldPartition[]): void;
  /** Distrusts what is known here: the next {@link refresh} asks the database. */
  distrust(): void;
  /** Brings itself in order before work. @returns whether partitions were given away */
  refresh(): Promise<boolean>;
}

/** Starts with nothing. */
export function createHoldings(holder: Holder, subscription: string): Holdings {
  const held = new Map<number, HeldPartition>();
  const parked = new Map<string, number>();
  /** Partitions whose parked streams are not known yet. */
  const unread = new Set<number>();
  /** Tokens under which partitions were given back: an answer from before may name them still. */
  const givenBack = new Map<number, number>();
  let reconciliations = 0;
  let share = partitionCount;
  let trusted = true;

  const take = (row: HeldPartition): void => {
    if (held.get(row.partition)?.token === row.token) return;
    if ((givenBack.get(row.partition) ?? 0) >= row.token) return;
    held.set(row.partition, row);
    unread.add(row.partition);
  };
  const drop = (partition: number): void => {
    held.delete(partition);
    unread.delete(partition);
    for (const [key, of] of parked) if (of === partition) parked.delete(key);
  };
  const replace = (rows: readonly HeldPartition[]): void => {
    const now = new Set(rows.map(({ partition }) => partition));
    for (const partition of [...held.keys()]) if (!now.has(partition)) drop(partition);
    for (const row of rows) take(row);
  };
  const shed = async (): Promise<boolean> => {
    const surplus = [...held.values()].slice(share);
    if (surplus.length === 0) return false;
    await releaseHeld(holder, surplus);
    for (const { partition, token } of surplus) {
      givenBack.set(partition, token);
      if (held.get(partition)?.token === token) drop(partition);
    }
    return true;
  };
  const readParked = async (): Promise<void> => {
    if (unread.size === 0) return;
    const partitions = [...unread];
    const rows = await holder.db.platform(
      holder.database,
      (tx) => parkedStreams(tx, subscription, partitions),
      { name: "events.parked_streams" },
    );
    for (const { key, partition } of rows) if (held.has(partition)) parked.set(key, partition);
    for (const partition of partitions) unread.delete(partition);
  };

  return {
    list: () => [...held.values()],
    parked,
    reconcile(rows, fairShare) {
      share = fairShare;
      reconciliations++;
      const before = [...held.values()].map(({ token }) => token).join();
      replace(rows);
      return [...held.values()].map(({ token }) => token).join() !== before;
    },
    moveTo(places) {
      for (const place of places) {
        if (held.get(place.partition)?.token === place.token) held.set(place.partition, place);
      }
    },
    distrust() {
      trusted = false;
    },
    async refresh() {
      while (!trusted) {
        const before = reconciliations;
        const rows = await reloadHeld(holder, subscription);
        // A heartbeat came between: which of the two is older nobody can tell.
        if (reconciliations !== before) continue;
        for (const partition of [...held.keys()]) drop(partition);
        for (const row of rows) take(row);
        trusted = true;
      }
      const gave = await shed();
      await readParked();
      return gave;
    },
  };
}
