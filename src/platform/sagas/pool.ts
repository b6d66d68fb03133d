import { SagaInterruptedError } from "./errors.ts";
import { executeRun } from "./execute.ts";
import { createLiveRun, interrupt, type LiveRun, type RunDeps, type RunStart } from "./run.ts";
import type { SagaId, SagaOutcome } from "./saga.ts";
import type { SagaEvent } from "./saga-event.ts";
import type { HeldRun } from "./store.ts";

/** Limits and dependencies of the runs of a process. */
export interface RunPoolConfig {
  readonly deps: RunDeps;
  readonly runsMax: number;
  readonly waitingMax: number;
  readonly onEvent: (event: SagaEvent) => void;
}

/** The runs this process executes: at most `runsMax` at once, others wait their turn. */
export interface RunPool {
  /** Whether it takes new runs. */
  accepts(): boolean;
  /** Executes a run now or when there is room. A run beyond the limits is left to the sweepers. */
  run(start: RunStart): void;
  outcomeOf(id: SagaId): Promise<SagaOutcome> | undefined;
  running(): number;
  /** How many more runs it could begin at once. */
  room(): number;
  /** Runs whose lease this process holds, under way or waiting. */
  held(): readonly HeldRun[];
  /** Stops executing runs that were taken over. */
  drop(ids: readonly SagaId[]): void;
  open(): void;
  /** Waits for the runs under way, then interrupts what is left. @returns what is to be given back */
  stop(withinMs: number): Promise<readonly HeldRun[]>;
}

interface Entry {
  readonly start: RunStart;
  live: LiveRun | undefined;
  readonly outcome: PromiseWithResolvers<SagaOutcome>;
}

/** How soon another try begins after the platform could not serve, milliseconds. */
const interruptedForMs = 1_000;

/** Makes a closed pool. */
export function createRunPool(config: RunPoolConfig): RunPool {
  const { deps, runsMax, waitingMax, onEvent } = config;
  const entries = new Map<SagaId, Entry>();
  let waiting: Entry[] = [];
  let underWay = 0;
  let isOpen = false;
  let idle: (() => void) | undefined;

  const execute = (entry: Entry): Promise<void> =>
    executeEntry(entry, { deps, onEvent, isOpen: () => isOpen });
  const begin = (entry: Entry): void => {
    underWay++;
    void execute(entry).finally(() => {
      underWay--;
      if (entries.get(entry.start.id) === entry) entries.delete(entry.start.id);
      const next = isOpen ? waiting.shift() : undefined;
      if (next) begin(next);
      else if (underWay === 0) idle?.();
    });
  };

  return {
    accepts: () => isOpen && waiting.length < waitingMax,
    run(start) {
      if (!isOpen || entries.has(start.id)) return;
      if (underWay >= runsMax && waiting.length >= waitingMax) {
        onEvent({ kind: "overflow", name: start.definition.name, id: start.id });
        return;
      }
      const entry: Entry = { start, live: undefined, outcome: Promise.withResolvers() };
      entry.outcome.promise.catch(() => {});
      entries.set(start.id, entry);
      if (underWay < runsMax) begin(entry);
      else waiting.push(entry);
    },
    outcomeOf: (id) => entries.get(id)?.outcome.promise,
    running: () => underWay,
    room: () => (isOpen ? Math.max(runsMax - underWay - waiting.length, 0) : 0),
    held: () => [...entries.values()].map(heldRun),
    drop(ids) {
      for (const id of ids) {
        const entry = entries.get(id);
        if (!entry) continue;
        if (entry.live) interrupt(entry.live, "another node has taken the run over");
        else {
          entries.delete(id);
          waiting = waiting.filter((other) => other !== entry);
          entry.outcome.reject(new SagaInterruptedError("another node has taken the run over"));
        }
      }
    },
    open() {
      isOpen = true;
    },
    async stop(withinMs) {
      isOpen = false;
      if (underWay > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, withinMs);
          idle = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      const left = [...entries.values()];
      for (const { live } of left) if (live && !live.ended) interrupt(live, "the process stops");
      return left.map(heldRun);
    },
  };
}

function heldRun({ start: { tenantId, id, token } }: Entry): HeldRun {
  return { tenantId, id, token };
}

async function executeEntry(
  entry: Entry,
  { deps, onEvent, isOpen }: Pick<RunPoolConfig, "deps" | "onEvent"> & { isOpen: () => boolean },
): Promise<void> {
  const { start, outcome } = entry;
  const { id, tenantId, definition } = start;
  const startedAt = performance.now();
  const label = () => ({
    name: definition.name,
    id,
    tenantId,
    elapsedMs: performance.now() - startedAt,
  });
  const live = createLiveRun(deps, start);
  entry.live = live;
  try {
    const result = await executeRun(live);
    onEvent({ kind: result.status, ...label() });
    outcome.resolve(result);
  } catch (error) {
    const kind = error instanceof SagaInterruptedError ? "interrupted" : "failed";
    onEvent({ kind, ...label(), error });
    outcome.reject(error);
    if (isOpen()) await giveBack(deps, live);
  }
}

/** Lets any node go on soon. If that cannot be written, the lease ends by itself. */
async function giveBack(deps: RunDeps, live: LiveRun): Promise<void> {
  const { tenantId, id, token } = live.start;
  const { status } = live;
  const change = { id, token, steps: {}, status, releaseForMs: interruptedForMs };
  await deps.save(tenantId, change).catch(() => false);
}
