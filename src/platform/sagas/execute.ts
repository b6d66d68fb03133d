import { isInterruption, SagaInterruptedError, SagaTimeoutError, toStepError } from "./errors.ts";
import {
  asRemembered,
  assertGoesOn,
  flush,
  interrupt,
  isTimedOut,
  type LiveRun,
  note,
  pause,
  saveRun,
  type Undo,
} from "./run.ts";
import type { SagaOutcome, StepError, StepRecord } from "./saga.ts";
import { sagaOf } from "./steps.ts";

/**
 * Executes a run until it has ended, or until this process must not go on with it.
 *
 * @throws SagaInterruptedError: the run goes on elsewhere or later
 */
export async function executeRun(run: LiveRun): Promise<SagaOutcome> {
  const stopTimer = startDeadline(run);
  try {
    const { earlier } = run.start;
    if (earlier?.status === "compensating") {
      await replay(run);
      return await compensate(run, earlier.failure ?? { code: "ERR_SAGA_FAILED", message: "" });
    }
    return await goForward(run);
  } finally {
    stopTimer();
  }
}

async function goForward(run: LiveRun): Promise<SagaOutcome> {
  let output: unknown;
  try {
    output = asRemembered(await untilHalted(run, callRun(run)));
    assertGoesOn(run);
  } catch (error) {
    if (run.ended) return { status: "completed" };
    return await turnBack(run, error);
  }
  if (!run.ended) await saveRun(run, { status: "completed", output: (output ?? null) as never });
  return { status: "completed", output };
}

/** From failure to compensation. */
async function turnBack(run: LiveRun, error: unknown): Promise<SagaOutcome> {
  assertGoesOn(run);
  if (isInterruption(error)) {
    throw error instanceof SagaInterruptedError
      ? error
      : interrupt(run, "the platform could not serve", error);
  }
  const failure = toStepError(error);
  run.closed = true;
  await Promise.allSettled(run.inFlight);
  if (run.ended) return { status: "completed" };
  assertGoesOn(run);
  run.status = "compensating";
  await saveRun(run, { status: "compensating", failure });
  return compensate(run, failure);
}

/** Executes the function against its records only, to learn its undos. */
async function replay(run: LiveRun): Promise<void> {
  try {
    await callRun(run);
  } catch {
    // It ends as it did before: with its failure, or where the records end.
  }
  await Promise.allSettled(run.inFlight);
  assertGoesOn(run);
}

/** Takes every step back, the last one first. */
async function compensate(run: LiveRun, failure: StepError): Promise<SagaOutcome> {
  const toUndo = [...run.records].filter(([, { undoable, kind, status }]) => {
    const tookEffect = status === "done" || (status === "failed" && kind === "step");
    return undoable && tookEffect;
  });
  for (const [name, record] of toUndo.toSorted(([, a], [, b]) => b.seq - a.seq)) {
    const undo = run.visited.get(name);
    const error = undo
      ? await tryUndo(run, { name, record, undo })
      : { code: "ERR_SAGA_CHANGED", message: "the code does not come to this step any more" };
    if (!error) continue;
    const attempts = run.deps.undoRetry.attemptsMax;
    note(run, name, { ...record, undoAttempts: undo ? attempts : 0, undoError: error });
    await saveRun(run, { status: "stuck", failure });
    return { status: "stuck", failure };
  }
  await saveRun(run, { status: "compensated", failure });
  return { status: "compensated", failure };
}

/** @returns the last error when the attempts are used up */
async function tryUndo(
  run: LiveRun,
  { name, record, undo }: { name: string; record: StepRecord; undo: Undo },
): Promise<StepError | undefined> {
  const policy = run.deps.undoRetry;
  for (let attempts = 1; ; attempts++) {
    try {
      // A record whose undo is noted but not saved yet only needs saving.
      await (run.records.get(name)?.status === "undone" ? flush(run) : undo(record, attempts));
      return undefined;
    } catch (error) {
      assertGoesOn(run);
      if (isInterruption(error)) throw interrupt(run, "the platform could not serve", error);
      if (attempts >= policy.attemptsMax) return toStepError(error);
    }
    await pause(run, policy, { failed: attempts, signals: [run.halt.signal] });
  }
}

async function callRun(run: LiveRun): Promise<unknown> {
  return run.start.definition.run(sagaOf(run), run.start.input as never);
}

/** The function may wait for something that knows nothing of the deadline. */
async function untilHalted<Value>(run: LiveRun, work: Promise<Value>): Promise<Value> {
  // A run whose time is over already goes through its records first, to learn its undos.
  const signals = isTimedOut(run) ? [run.halt.signal] : [run.halt.signal, run.deadline.signal];
  const signal = AbortSignal.any(signals);
  let onAbort: (() => void) | undefined;
  const halted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  work.catch(() => {});
  try {
    return await Promise.race([work, halted]);
  } finally {
    if (onAbort) signal.removeEventListener("abort", onAbort);
  }
}

const timerMsMax = 2 ** 31 - 1;

function startDeadline(run: LiveRun): () => void {
  if (run.start.earlier?.status === "compensating") return () => {};
  const expire = () => run.deadline.abort(new SagaTimeoutError("the run took longer than it may"));
  if (run.start.leftMs <= 0) {
    expire();
    return () => {};
  }
  const timer = setTimeout(expire, Math.min(run.start.leftMs, timerMsMax));
  timer.unref();
  return () => clearTimeout(timer);
}
