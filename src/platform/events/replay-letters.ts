import type { HeldPartition } from "./cursors.ts";
import {
  forgetLetters,
  holdLetters,
  park,
  type ReleasedLetter,
  releasedLetters,
  streamKey,
} from "./dead-letters.ts";
import { redeliverExternal } from "./deliver-external.ts";
import { redeliverTransactional } from "./deliver-transactional.ts";
import { type DeliveryDeps, isPoison } from "./delivery.ts";
import type { RecordedEvent } from "./event.ts";

/**
 * Handles released dead letters of the partitions held, stream by stream in log order, before any
 * new event of their streams. One that fails again is dead again, and those behind it wait again.
 */
export async function replayLetters(
  deps: DeliveryDeps,
  held: readonly HeldPartition[],
): Promise<void> {
  const { db, database, subscription } = deps;
  const partitions = held.map(({ partition }) => partition);
  const letters = await db.platform(database, (tx) =>
    releasedLetters(tx, subscription.name, partitions),
  );
  for (const group of byStream(letters).values()) await replayStream(deps, group, held);
}

async function replayStream(
  deps: DeliveryDeps,
  letters: readonly ReleasedLetter[],
  held: readonly HeldPartition[],
): Promise<void> {
  const holds = deps.subscription.afterPoison !== "continue";
  let left = 0;
  for (const letter of letters) {
    const ready = letter.state === "released" || (letter.state === "waiting" && left === 0);
    if (letter.state === "discarded" || !letter.event) await dropLetter(deps, letter);
    else if (ready && (left === 0 || !holds)) left += await redeliver(deps, letter.event, held);
    else left++;
  }
  const [first] = letters;
  if (!first) return;
  if (left === 0) deps.parked.delete(streamKey(first));
  else if (holds) await db(deps, (tx) => holdLetters(tx, deps.subscription.name, first));
}

/** @returns 1 when the event failed again, else 0 */
async function redeliver(
  deps: DeliveryDeps,
  event: RecordedEvent,
  held: readonly HeldPartition[],
): Promise<number> {
  const { subscription } = deps;
  const lease = held.filter(({ partition }) => partition === event.partition);
  try {
    if (subscription.mode === "external") {
      await redeliverExternal({ ...deps, subscription }, event, lease);
    } else {
      await redeliverTransactional({ ...deps, subscription }, event, lease);
    }
    return 0;
  } catch (error) {
    if (!isPoison(error)) throw error;
    const letter = { event, state: "dead", attempts: 1, error } as const;
    await db(deps, (tx) => park(tx, subscription.name, [letter]));
    deps.onParked(letter);
    return 1;
  }
}

async function dropLetter(deps: DeliveryDeps, letter: ReleasedLetter): Promise<void> {
  await db(deps, (tx) => forgetLetters(tx, deps.subscription.name, [letter]));
}

async function db(
  deps: DeliveryDeps,
  work: (tx: Parameters<typeof park>[0]) => void,
): Promise<void> {
  await deps.db.platform(deps.database, async (tx) => work(tx), { name: "events.letters" });
}

function byStream(letters: readonly ReleasedLetter[]): Map<string, ReleasedLetter[]> {
  const groups = new Map<string, ReleasedLetter[]>();
  for (const letter of letters) {
    const group = groups.get(streamKey(letter));
    if (group) group.push(letter);
    else groups.set(streamKey(letter), [letter]);
  }
  return groups;
}
