import type { TenantId } from "../../kernel/ids.ts";
import type { ClaimedJob } from "./claim.ts";

/** Claimed jobs of one queue that wait for a free slot, handed out tenant by tenant. */
export interface FairBuffer {
  add(jobs: readonly ClaimedJob[]): void;
  /**
   * Takes the next job: tenants take turns, a tenant's jobs by priority and arrival.
   *
   * @param mayRun whether a tenant may occupy one more slot
   */
  next(mayRun: (tenantId: TenantId) => boolean): ClaimedJob | undefined;
  /** Takes one job out. */
  remove(id: string): ClaimedJob | undefined;
  /** Takes all jobs out. */
  drain(): readonly ClaimedJob[];
  /** Jobs of one tenant in it. */
  sizeOf(tenantId: TenantId): number;
  readonly size: number;
}

interface Line {
  readonly tenantId: TenantId;
  /** In order from `head` on. */
  jobs: ClaimedJob[];
  head: number;
}

/** Makes an empty buffer. */
export function createFairBuffer(): FairBuffer {
  // A Map keeps the order of insertion: the first line is next, and goes to the end after its turn.
  const lines = new Map<TenantId, Line>();
  let size = 0;

  const takeFrom = (line: Line): ClaimedJob | undefined => {
    const job = line.jobs[line.head];
    line.head++;
    size--;
    lines.delete(line.tenantId);
    if (line.head < line.jobs.length) lines.set(line.tenantId, line);
    return job;
  };

  return {
    add(jobs) {
      for (const [tenantId, arrived] of Map.groupBy(jobs, (job) => job.tenantId)) {
        const waiting = lines.get(tenantId);
        const rest = waiting ? waiting.jobs.slice(waiting.head) : [];
        const all = [...rest, ...arrived].sort(inOrder);
        lines.set(tenantId, { tenantId, jobs: all, head: 0 });
      }
      size += jobs.length;
    },
    next(mayRun) {
      for (const line of lines.values()) if (mayRun(line.tenantId)) return takeFrom(line);
      return undefined;
    },
    remove(id) {
      for (const line of lines.values()) {
        const at = line.jobs.findIndex((job, index) => index >= line.head && job.id === id);
        if (at < 0) continue;
        const [job] = line.jobs.splice(at, 1);
        size--;
        if (line.head >= line.jobs.length) lines.delete(line.tenantId);
        return job;
      }
      return undefined;
    },
    drain() {
      const all = [...lines.values()].flatMap((line) => line.jobs.slice(line.head));
      lines.clear();
      size = 0;
      return all;
    },
    sizeOf(tenantId) {
      const line = lines.get(tenantId);
      return line ? line.jobs.length - line.head : 0;
    },
    get size() {
      return size;
    },
  };
}

function inOrder(a: ClaimedJob, b: ClaimedJob): number {
  return a.priority - b.priority || a.seq - b.seq;
}
