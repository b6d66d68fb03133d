import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import type { BankPayment, Movement } from "./bank.ts";
import type { CardToken } from "./cards.ts";

/** One line of the bank's log. */
export type LogRecord = { readonly seq: number; readonly at: string } & LogEntry;

/** What is written down. */
export type LogEntry =
  | { readonly kind: "token"; readonly token: CardToken }
  | {
      readonly kind: "payment";
      readonly request: "charge" | "confirmation" | "capture" | "void" | "refund";
      readonly key: string;
      readonly movements: readonly Movement[];
      /** The payment after it. */
      readonly payment: BankPayment;
    }
  | {
      readonly kind: "webhook";
      readonly eventId: string;
      readonly outcome: "delivered" | "given_up";
    };

/** An append-only file of JSON lines; a line counts once fsync has returned. */
export interface Journal {
  /** Writes one line. @returns its record at once and a promise that it is durable */
  append(entry: LogEntry): { readonly record: LogRecord; readonly durable: Promise<void> };
  /** Resolves when everything appended so far is durable: nobody may be told of less. */
  settled(): Promise<void>;
  /** The whole log, as written. */
  read(): Promise<string>;
  /** Waits for what was appended and closes the file. */
  stop(): Promise<void>;
}

/** What a journal needs from outside. */
export interface JournalOptions {
  readonly now: () => Date;
  /** Called for each record of the past, in order. */
  readonly replay: (record: LogRecord) => void;
  /** Called when a line cannot be made durable: what is in memory is then not to be trusted. */
  readonly onFault: (error: unknown) => void;
}

/**
 * Opens the log below `folder` and replays it.
 *
 * A last line that a crash cut off was never acknowledged: it is removed.
 * @throws Error when a line other than the last cannot be read
 */
export async function openJournal(
  folder: string,
  { now, replay, onFault }: JournalOptions,
): Promise<Journal> {
  const file = path.join(folder, "bank.log");
  const handle = await open(file, "a+");
  let seq = await replayFile(handle, replay);
  await handle.sync();
  // A new file is durable only when its folder is.
  const parent = await open(folder, "r");
  await parent.sync();
  await parent.close();

  let batch: { readonly lines: string[]; readonly durable: Promise<void> } | undefined;
  let tail: Promise<void> = Promise.resolve();
  // Lines that arrive during one fsync share the next.
  const openBatch = () => {
    const lines: string[] = [];
    const durable = tail.then(async () => {
      batch = undefined;
      await handle.appendFile(lines.join(""));
      await handle.datasync();
    });
    durable.catch(onFault);
    tail = durable;
    batch = { lines, durable };
    return batch;
  };

  return {
    append(entry) {
      seq++;
      const record: LogRecord = { seq, at: now().toISOString(), ...entry };
      const joined = batch ?? openBatch();
      joined.lines.push(`${JSON.stringify(record)}\n`);
      return { record, durable: joined.durable };
    },
    settled: () => tail,
    async read() {
      await tail;
      return readAll(handle);
    },
    async stop() {
      await tail;
      await handle.close();
    },
  };
}

async function replayFile(
  handle: FileHandle,
  replay: (record: LogRecord) => void,
): Promise<number> {
  const text = await readAll(handle);
  const end = text.lastIndexOf("\n") + 1;
  if (end < text.length) await handle.truncate(Buffer.byteLength(text.slice(0, end)));
  let seq = 0;
  for (const line of text.slice(0, end).split("\n")) {
    if (line === "") continue;
    const record = JSON.parse(line) as LogRecord;
    seq = record.seq;
    replay(record);
  }
  return seq;
}

async function readAll(handle: FileHandle): Promise<string> {
  const { size } = await handle.stat();
  const buffer = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await handle.read(buffer, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.toString("utf8", 0, filled);
}
