import pg from "pg";
import type { Clock } from "../../kernel/clock.ts";
import { systemClock } from "../../kernel/clock.ts";

/** Something the process stands on. */
export interface Dependency {
  /** Name in the report: `postgres/home`. */
  readonly name: string;
  /** False: without it the process serves as well, only slower; default true. */
  readonly isRequired?: boolean;
  /** Rejects when it does not work. */
  check(signal: AbortSignal): Promise<void>;
  stop?(): Promise<void>;
}

/** State of one dependency. */
export interface DependencyReport {
  readonly name: string;
  readonly ok: boolean;
  /** Whether the process is not ready without it. */
  readonly required: boolean;
  /** Milliseconds the check took. */
  readonly latencyMs: number;
  /** What failed, without addresses and credentials. */
  readonly reason?: "timeout" | "unreachable";
}

/** Whether the process can serve, and why not. */
export interface ReadinessReport {
  readonly ready: boolean;
  readonly state: "starting" | "serving" | "draining";
  readonly checkedAt: string;
  readonly dependencies: readonly DependencyReport[];
}

/** Knows whether the process started, and whether it can serve. */
export interface Health {
  /** Asks every dependency, at most every {@link readinessCacheMs}. */
  readiness(): Promise<ReadinessReport>;
  started(): boolean;
  /** Start-up is done: from now on it may be ready. */
  markStarted(): void;
  /** It is going away: balancers should look elsewhere. */
  markDraining(): void;
  stop(): Promise<void>;
}

/** A storm of probes asks the dependencies once in this time, milliseconds. */
export const readinessCacheMs = 250;
/** Longest a dependency may take, milliseconds. */
export const checkTimeoutMs = 1_000;

/** Makes the health of a process. */
export function createHealth(
  dependencies: readonly Dependency[],
  clock: Clock = systemClock,
): Health {
  let state: ReadinessReport["state"] = "starting";
  let checked: Promise<readonly DependencyReport[]> | undefined;
  let until = 0;
  const reports = (): Promise<readonly DependencyReport[]> => {
    if (checked && performance.now() < until) return checked;
    until = performance.now() + readinessCacheMs;
    checked = Promise.all(dependencies.map(examine));
    return checked;
  };
  return {
    async readiness() {
      const found = await reports();
      const ready = state === "serving" && found.every(({ ok, required }) => ok || !required);
      return { ready, state, checkedAt: clock().toISOString(), dependencies: found };
    },
    started: () => state !== "starting",
    markStarted() {
      if (state === "starting") state = "serving";
    },
    markDraining() {
      state = "draining";
    },
    async stop() {
      await Promise.all(dependencies.map((dependency) => dependency.stop?.()));
    },
  };
}

async function examine(dependency: Dependency): Promise<DependencyReport> {
  const { name, isRequired: required = true } = dependency;
  const startedAt = performance.now();
  const signal = AbortSignal.timeout(checkTimeoutMs);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  const latency = () => Math.round((performance.now() - startedAt) * 100) / 100;
  try {
    await Promise.race([dependency.check(signal), late]);
    return { name, required, ok: true, latencyMs: latency() };
  } catch {
    const reason = signal.aborted ? "timeout" : "unreachable";
    return { name, required, ok: false, latencyMs: latency(), reason };
  }
}

/**
 * A database as a dependency, asked over one small connection of its own: an exhausted pool does
 * not hide a database that works, and a working pool does not hide one that is gone.
 */
export function databaseDependency(name: string, url: string): Dependency {
  let client: pg.Client | undefined;
  const connect = async (): Promise<pg.Client> => {
    const made = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: checkTimeoutMs,
      query_timeout: checkTimeoutMs,
      application_name: "brandos/health",
    });
    const forget = () => {
      if (client === made) client = undefined;
    };
    made.on("error", forget).on("end", forget);
    await made.connect();
    client = made;
    return made;
  };
  return {
    name: `postgres/${name}`,
    async check() {
      const used = client ?? (await connect());
      try {
        await used.query("select 1");
      } catch (error) {
        client = undefined;
        used.end().catch(() => {});
        throw error;
      }
    },
    async stop() {
      await client?.end();
    },
  };
}
