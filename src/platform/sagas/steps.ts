import { assert } from "../../kernel/assert.ts";
import { type Failure, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../db/transaction.ts";
import {
  isInterruption,
  SagaTimeoutError,
  StepFailedError,
  StepTimeoutError,
  toStepError,
} from "./errors.ts";
import {
  asRemembered,
  assertGoesOn,
  flush,
  idempotencyKey,
  interrupt,
  isTimedOut,
  jsonValue,
  type LiveRun,
  note,
  pause,
  settlePending,
  takePending,
  type Undo,
} from "./run.ts";
import type {
  RetryPolicy,
  Saga,
  SagaEnding,
  StepContext,
  StepOptions,
  StepRecord,
  TransactOptions,
} from "./saga.ts";

/** How a step is tried unless it says otherwise. */
export const stepRetry: RetryPolicy = { attemptsMax: 3, baseMs: 100, maxMs: 2_000 };

const stepTimeoutMs = 30_000;

/** Ends the replay of a run that compensates: it has reached what was never done. */
export class ReplayEndError extends Error {
  override readonly name = "ReplayEndError";
}

/** The run as its own function sees it. */
export function sagaOf(run: LiveRun): Saga {
  const { id, tenantId } = run.start;
  return {
    id,
    tenantId,
    ctx: run.ctx,
    step: (name, work, options = {}) => tracked(run, () => runStep(run, name, work, options)),
    transact: (name, work, options = {}) =>
      tracked(run, () => runTransact(run, name, work, options)),
    finish: (submit) => tracked(run, () => runFinish(run, submit)),
  };
}

/** Compensation begins only when no step of the run is under way any more. */
function tracked<Value>(run: LiveRun, work: () => Promise<Value>): Promise<Value> {
  const going = work();
  run.inFlight.add(going);
  const settled = () => run.inFlight.delete(going);
  going.then(settled, settled);
  return going;
}

type Work<Value> = (step: StepContext) => Promise<Value>;

async function runStep<Value>(
  run: LiveRun,
  name: string,
  work: Work<Value>,
  options: StepOptions<Value>,
): Promise<Value> {
  const seq = visit(run, name, stepUndo(run, name, options));
  const known = run.records.get(name);
  if (known) return replayed<Value>(name, known);
  await beforeNew(run, name, { seq, kind: "step", undoable: options.undo !== undefined });
  const startedAt = run.deps.now();
  const policy = { ...stepRetry, ...options.retry };
  const signals = [run.halt.signal, run.deadline.signal];
  for (let attempts = 1; ; attempts++) {
    try {
      const { timeoutMs } = options;
      const value = asRemembered(await attempt(run, { name, work, timeoutMs, attempts, signals }));
      assertGoesOn(run);
      const endedAt = run.deps.now();
      const done = { seq, kind: "step", status: "done", attempts, startedAt, endedAt } as const;
      note(run, name, { ...done, undoable: options.undo !== undefined, ...jsonValue(value) });
      return value;
    } catch (error) {
      assertGoesOn(run);
      const again = attempts < policy.attemptsMax && isRetryable(error) && !isTimedOut(run);
      const undoable = options.undo !== undefined;
      const started = { seq, kind: "step", attempts, startedAt, undoable } as const;
      if (!again) throw failed(run, name, started, error);
    }
    await pause(run, policy, { failed: attempts, signals });
  }
}

interface Attempt<Value> {
  readonly name: string;
  readonly work: Work<Value>;
  readonly timeoutMs: number | undefined;
  readonly attempts: number;
  /** What ends it early: the loss of the lease, and for a step the run's deadline. */
  readonly signals: readonly AbortSignal[];
}

/** One attempt of a step or an undo, bounded by its timeout and its signals. */
async function attempt<Value>(run: LiveRun, attempted: Attempt<Value>): Promise<Value> {
  const timeoutMs = attempted.timeoutMs ?? stepTimeoutMs;
  const aborting = new AbortController();
  const { signal } = aborting;
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  const late = () => aborting.abort(new StepTimeoutError(`took longer than ${timeoutMs} ms`));
  const timer = setTimeout(late, timeoutMs);
  timer.unref();
  const stopRelay = relay(attempted.signals, aborting);
  const step: StepContext = {
    idempotencyKey: idempotencyKey(run, attempted.name),
    ctx: run.ctx,
    signal,
    attempt: attempted.attempts,
  };
  try {
    return await Promise.race([aborted, attempted.work(step)]);
  } finally {
    clearTimeout(timer);
    stopRelay();
  }
}

/** Passes aborts on. `AbortSignal.any` would leave its listeners behind on long-lived signals. */
function relay(signals: readonly AbortSignal[], to: AbortController): () => void {
  const ends = signals.map((signal) => {
    const pass = () => to.abort(signal.reason);
    if (signal.aborted) pass();
    signal.addEventListener("abort", pass, { once: true });
    return () => signal.removeEventListener("abort", pass);
  });
  return () => {
    for (const end of ends) end();
  };
}

function isRetryable(error: unknown): boolean {
  return (error as { retryable?: unknown } | null)?.retryable !== false;
}

async function runTransact<Value, F extends Failure>(
  run: LiveRun,
  name: string,
  work: (tx: TenantTx) => Promise<Result<Value, F>>,
  options: TransactOptions<Value>,
): Promise<Result<Value, F>> {
  const seq = visit(run, name, transactUndo(run, name, options));
  const known = run.records.get(name);
  if (known) return replayed<Result<Value, F>>(name, known);
  await beforeNew(run, name, { seq, kind: "transact", undoable: false });
  const startedAt = run.deps.now();
  let attempts = 0;
  let saved: ReadonlyMap<string, StepRecord> = new Map();
  const doneWith = (result: Result<Value, F>): StepRecord => {
    const endedAt = run.deps.now();
    const undoable = options.undo !== undefined && result.ok;
    const done = { seq, kind: "transact", status: "done", attempts, startedAt, endedAt } as const;
    return { ...done, undoable, ...jsonValue(asRemembered(result)) };
  };
  try {
    const result = await run.deps.db.transact(run.start.tenantId, async (tx) => {
      attempts++;
      const decided = await work(tx);
      if (!decided.ok) return decided;
      saved = takePending(run);
      const { id, token } = run.start;
      const steps = { ...Object.fromEntries(saved), [name]: doneWith(decided) };
      const kept = await run.deps.saveIn(tx, { id, token, steps, status: run.status });
      if (!kept) throw interrupt(run, "another node has taken the run over");
      return decided;
    });
    const record = doneWith(result);
    if (result.ok) settlePending(run, saved);
    if (result.ok) run.records.set(name, record);
    else note(run, name, record);
    return record.value as unknown as Result<Value, F>;
  } catch (error) {
    assertGoesOn(run);
    if (isInterruption(error)) throw interrupt(run, "the database could not serve", error);
    const undoable = options.undo !== undefined;
    throw failed(run, name, { seq, kind: "transact", attempts, startedAt, undoable }, error);
  }
}

async function runFinish<Value>(
  run: LiveRun,
  submit: (ending: SagaEnding) => Promise<Value>,
): Promise<Value> {
  if (run.closed) throw new ReplayEndError();
  assertGoesOn(run);
  run.deadline.signal.throwIfAborted();
  const { id, tenantId, token } = run.start;
  const ending: SagaEnding = {
    id,
    tenantId,
    token,
    steps: Object.fromEntries(run.pending),
    ended: () => {
      run.ended = true;
    },
  };
  try {
    return await submit(ending);
  } catch (error) {
    assertGoesOn(run);
    throw isInterruption(error) ? interrupt(run, "the database could not serve", error) : error;
  }
}

/** Notes that this execution has come to a step. @returns its number in the run */
function visit(run: LiveRun, name: string, undo: Undo | undefined): number {
  assert(!run.visited.has(name), `saga ${run.start.definition.name}: step ${name} is named once`);
  assertGoesOn(run);
  run.visited.set(name, undo);
  return run.records.get(name)?.seq ?? run.visited.size;
}

type StepStart = Pick<StepRecord, "seq" | "kind" | "undoable">;

/** Before a step is executed for the first time, what came before it is durable. */
async function beforeNew(run: LiveRun, name: string, start: StepStart): Promise<void> {
  if (run.closed) {
    run.visited.delete(name);
    throw new ReplayEndError();
  }
  if (start.kind === "step") await flush(run);
  if (!isTimedOut(run)) return;
  const { reason } = run.deadline.signal;
  // A taken-over run may have been in this very step when its node died: its outcome is unknown.
  if (run.start.earlier && start.kind === "step") {
    throw failed(run, name, { ...start, attempts: 0, startedAt: run.deps.now() }, reason);
  }
  run.visited.delete(name);
  throw reason;
}

function failed(
  run: LiveRun,
  name: string,
  start: StepStart & Pick<StepRecord, "attempts" | "startedAt">,
  cause: unknown,
): StepFailedError | SagaTimeoutError {
  const error = toStepError(cause);
  note(run, name, { ...start, status: "failed", endedAt: run.deps.now(), error });
  if (cause instanceof SagaTimeoutError) return cause;
  return new StepFailedError(name, error, cause);
}

/** What a remembered step gives: the same as when it was executed. */
function replayed<Value>(name: string, record: StepRecord): Value {
  if (record.error) throw new StepFailedError(name, record.error);
  return record.value as Value;
}

function stepUndo<Value>(
  run: LiveRun,
  name: string,
  { undo, timeoutMs }: StepOptions<Value>,
): Undo | undefined {
  if (!undo) return undefined;
  return async (record, attempts) => {
    const value = record.error ? undefined : (record.value as Value | undefined);
    const work: Work<void> = (step) => undo(value, step);
    await attempt(run, { name, work, timeoutMs, attempts, signals: [run.halt.signal] });
    note(run, name, { ...record, status: "undone", undoAttempts: attempts });
    await flush(run);
  };
}

function transactUndo<Value>(
  run: LiveRun,
  name: string,
  { undo }: TransactOptions<Value>,
): Undo | undefined {
  if (!undo) return undefined;
  return async (record, attempts) => {
    const result = record.value as unknown as Result<Value>;
    assert(result.ok, "only what took effect is undone");
    const undone = { ...record, status: "undone", undoAttempts: attempts } as const;
    const saved = new Map([...takePending(run), [name, undone] as const]);
    const { id, token, tenantId } = run.start;
    await run.deps.db.transact(tenantId, async (tx) => {
      await undo(tx, result.value);
      const steps = Object.fromEntries(saved);
      const kept = await run.deps.saveIn(tx, { id, token, steps, status: "compensating" });
      if (!kept) throw interrupt(run, "another node has taken the run over");
      return ok(undefined);
    });
    run.records.set(name, undone);
    settlePending(run, saved);
  };
}
