import type { TenantId } from "../../kernel/ids.ts";

/** The jobs of one tenant in one queue with one priority, in order of arrival. */
export interface LaneKey {
  readonly tenantId: TenantId;
  readonly queue: string;
  readonly priority: number;
}

/** What PostgreSQL calls a snapshot: below xmin every transaction is over, from xmax none is visible. */
export interface Snapshot {
  readonly xmin: bigint;
  readonly xmax: bigint;
}

/** A lane with jobs in it, and where to begin to read. */
export interface OpenLane extends LaneKey {
  /** Read behind this position. */
  readonly mark: number;
}

/** What one claim took from a lane. */
export interface LaneClaim {
  readonly asked: number;
  readonly taken: number;
  /** Highest position taken; ignored when nothing was. */
  readonly lastSeq: number;
}

/** How far a look for lanes goes back, see {@link LaneBook.marks}. */
export type LookDepth = "near" | "safe" | "full";

/** How a look for lanes was done. */
export interface LaneLook {
  /** Where it read from. */
  readonly depth: LookDepth;
  /** Taken just before it. */
  readonly snapshot: Snapshot;
  /** Whether it took so long that it must have stepped over many entries of jobs that are gone. */
  readonly wasLong: boolean;
}

/**
 * Remembers, for each lane, how far it was emptied: the low-water mark.
 *
 * Without it every claim begins at the head of the lane and steps over the index entries of all
 * jobs claimed before, which stay for as long as any snapshot in the server is older than them.
 *
 * A job can still appear behind a position that was claimed: its transaction commits late, or the
 * claim that took it aborts. Hence two positions. Behind `safe` no late commit can appear: when it
 * was read, every transaction that could have drawn a lower number was over (positions are drawn
 * from a sequence by transactions that already have their id). `near` is as far as was claimed. As
 * long as few entries lie between them, reading begins at `safe`; otherwise at `near`, and a look
 * from `safe` now and then finds the late. `safe` moves only over what was read from `safe` on when
 * those transactions were over: who reads from `near` does not see the late that have committed.
 * Aborted claims are found by a rare look from the start.
 */
export interface LaneBook {
  /** Lanes that may have jobs, of the queues given, in the order they were found. */
  open(queue: string): readonly OpenLane[];
  /** Notes what a claim took. `snapshot` was taken just before it, in its transaction. */
  claimed(lane: LaneKey, claim: LaneClaim, snapshot: Snapshot): void;
  /** Positions to look from: lanes that were emptied far enough to be worth it, sorted. */
  marks(depth: LookDepth): readonly OpenLane[];
  /**
   * Notes the first waiting job of lanes; `seq` is its position.
   *
   * @param isAll whether lanes that are not among them are empty
   * @param look how it was looked; without it `safe` stays
   */
  found(
    lanes: readonly (LaneKey & { readonly seq: number })[],
    isAll: boolean,
    look?: LaneLook,
  ): void;
  /** Forgets every position: after a claim whose outcome is unknown. */
  reset(): void;
}

/** Limits of a {@link LaneBook}. */
export interface LaneLimits {
  /** Entries a claim may step over again before it trusts `near` instead of `safe`. */
  readonly rewalkMax: number;
  /** A lane with fewer claimed jobs than this is not remembered when it is empty. */
  readonly rememberFrom: number;
  /** Lanes remembered at most. */
  readonly lanesMax: number;
}

const defaultLimits: LaneLimits = { rewalkMax: 500, rememberFrom: 200, lanesMax: 2_000 };

interface Lane extends LaneKey {
  near: number;
  safe: number;
  /** Jobs claimed behind `safe`. */
  ahead: number;
  /** Jobs claimed in all. */
  total: number;
  /** Becomes `safe` once every transaction below `xmax` is over. */
  fence: { readonly seq: number; readonly xmax: bigint; readonly ahead: number } | undefined;
  isOpen: boolean;
}

/** Makes an empty book. */
export function createLaneBook(limits: LaneLimits = defaultLimits): LaneBook {
  const lanes = new Map<string, Lane>();
  const start = (lane: Lane): number => (lane.ahead > limits.rewalkMax ? lane.near : lane.safe);
  /** Others emptied the lane up to here, and nobody has cleaned up yet: once is enough to find out. */
  const stepOver = (lane: Lane, seq: number): void => {
    lane.near = Math.max(lane.near, seq);
    lane.ahead = Math.max(lane.ahead, limits.rewalkMax + 1);
    lane.total = Math.max(lane.total, limits.rememberFrom);
  };
  const forgettable = (lane: Lane): boolean => !lane.isOpen && lane.total < limits.rememberFrom;

  return {
    open(queue) {
      const open: OpenLane[] = [];
      for (const lane of lanes.values()) {
        if (lane.isOpen && lane.queue === queue) open.push({ ...keyOf(lane), mark: start(lane) });
      }
      return open;
    },
    claimed(key, claim, snapshot) {
      const lane = lanes.get(nameOf(key)) ?? newLane(key);
      lanes.set(nameOf(key), lane);
      const isEmpty = claim.taken < claim.asked;
      const readTo = isEmpty ? Number.POSITIVE_INFINITY : claim.lastSeq;
      advance(lane, snapshot, start(lane) === lane.safe ? readTo : 0);
      lane.isOpen = !isEmpty;
      if (claim.taken > 0) {
        lane.near = Math.max(lane.near, claim.lastSeq);
        lane.ahead += claim.taken;
        lane.total += claim.taken;
      }
      const isCrowded = lanes.size > limits.lanesMax && !lane.isOpen;
      if (forgettable(lane) || isCrowded) lanes.delete(nameOf(key));
    },
    marks(depth) {
      if (depth === "full") return [];
      return [...lanes.values()]
        .filter((lane) => lane.total >= limits.rememberFrom)
        .map((lane) => ({ ...keyOf(lane), mark: depth === "near" ? start(lane) : lane.safe }))
        .sort(byKey);
    },
    found(heads, isAll, look) {
      if (isAll) {
        const headOf = new Map(heads.map((head) => [nameOf(head), head.seq]));
        for (const [name, lane] of lanes) {
          lane.isOpen = false;
          const isFromSafe = look?.depth !== "near" || start(lane) === lane.safe;
          const readTo = headOf.get(name) ?? Number.POSITIVE_INFINITY;
          if (look) advance(lane, look.snapshot, isFromSafe ? readTo - 1 : 0);
        }
      }
      for (const head of heads) {
        const lane = lanes.get(nameOf(head)) ?? newLane(head);
        lanes.set(nameOf(head), lane);
        lane.isOpen = true;
        if (head.seq <= start(lane)) rewind(lane, head.seq - 1);
        else if (look?.wasLong) stepOver(lane, head.seq - 1);
      }
      for (const [name, lane] of lanes) if (forgettable(lane)) lanes.delete(name);
    },
    reset() {
      for (const lane of lanes.values()) rewind(lane, 0);
    },
  };
}

/** @param readTo no job that the snapshot shows waits behind `safe` up to here; 0 when nobody looked */
function advance(lane: Lane, snapshot: Snapshot, readTo: number): void {
  const { fence } = lane;
  if (fence && snapshot.xmin >= fence.xmax && readTo >= fence.seq) {
    lane.safe = Math.max(lane.safe, fence.seq);
    lane.ahead -= fence.ahead;
    lane.fence = undefined;
  }
  // This snapshot is younger than the one `near` was read with, so its xmax covers it.
  if (!lane.fence && lane.near > lane.safe) {
    lane.fence = { seq: lane.near, xmax: snapshot.xmax, ahead: lane.ahead };
  }
}

function rewind(lane: Lane, seq: number): void {
  lane.near = Math.min(lane.near, seq);
  lane.safe = Math.min(lane.safe, seq);
  if (lane.near === lane.safe) lane.ahead = 0;
  lane.fence = undefined;
}

function newLane(key: LaneKey): Lane {
  return { ...keyOf(key), near: 0, safe: 0, ahead: 0, total: 0, fence: undefined, isOpen: true };
}

function keyOf({ tenantId, queue, priority }: LaneKey): LaneKey {
  return { tenantId, queue, priority };
}

function nameOf({ tenantId, queue, priority }: LaneKey): string {
  return `${tenantId} ${queue} ${priority}`;
}

/** The order of the index: uuid by bytes, text by bytes ("C"), numbers. */
function byKey(a: LaneKey, b: LaneKey): number {
  if (a.tenantId !== b.tenantId) return a.tenantId < b.tenantId ? -1 : 1;
  if (a.queue !== b.queue) return a.queue < b.queue ? -1 : 1;
  return a.priority - b.priority;
}
