import { type ChildProcess, fork } from "node:child_process";
import { newId, type TenantId } from "../kernel/ids.ts";
import type { VariantId } from "../modules/catalog/contract.ts";
import { examine, type Finding } from "../processes/doctor/doctor.ts";
import { inSession, type Output, operatorContext, type Session, UsageError } from "./program.ts";
import { createProgress } from "./progress.ts";
import { createTenant } from "./tenant.ts";

interface ProveOptions {
  readonly buyers: string;
  readonly units: string;
  readonly processes: string;
  readonly kill?: boolean;
}

/** What a race came to. */
export interface Verdict {
  readonly passed: boolean;
  readonly buyers: number;
  readonly units: number;
  readonly processes: number;
  readonly killed: number;
  /** Orders that buyers were told they have. */
  readonly confirmed: number;
  /** Orders that exist. */
  readonly sold: number;
  readonly refused: number;
  /** Buyers whose process died before it answered. */
  readonly unanswered: number;
  readonly elapsedMs: number;
  readonly broken: readonly Finding[];
}

/** What a buyers' process is told; it answers with one {@link BuyerReport} per buyer. */
export interface RaceOrder {
  readonly tenantId: string;
  readonly variantId: string;
  readonly buyers: readonly string[];
}

/** How one buyer fared. */
export interface BuyerReport {
  readonly orderId: string;
  readonly ok: boolean;
  readonly code?: string;
}

/** `brandos prove`: a scratch tenant in your own database, removed afterwards. */
export async function proveCommand(output: Output, options: ProveOptions): Promise<number> {
  const race = {
    buyers: whole(options.buyers, "--buyers", 100_000),
    units: whole(options.units, "--units", 100_000),
    processes: whole(options.processes, "--processes", 16),
    kill: options.kill ?? false,
  };
  const verdict = await inSession(output, (session) => prove(session, output, race));
  output.answer(verdict, () => tell(verdict));
  return verdict.passed ? 0 : 1;
}

function whole(text: string, name: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new UsageError(`${name} is a whole number from 1 to ${max}`);
}

interface Race {
  readonly buyers: number;
  readonly units: number;
  readonly processes: number;
  readonly kill: boolean;
}

async function prove(session: Session, output: Output, race: Race): Promise<Verdict> {
  const slug = `prove-${Date.now().toString(36)}`;
  const tenant = await createTenant(session, slug, { currency: "EUR", isolation: "pool" });
  try {
    const variantId = await stockOneProduct(session, tenant.id, race.units);
    const startedAt = performance.now();
    const fared = await runRace(output, { ...race, tenantId: tenant.id, variantId });
    const elapsedMs = Math.round(performance.now() - startedAt);
    const sold = await countOrders(session, tenant.id);
    const findings = await examine(session.app.db, tenant.id);
    const broken = findings.filter(({ holds }) => !holds);
    const confirmed = fared.reports.filter(({ ok }) => ok).length;
    const unanswered = race.buyers - fared.reports.length;
    // Whoever was told "yes" has an order; with nobody killed exactly the units are sold.
    const counts = fared.killed > 0 ? sold >= confirmed && sold <= race.units : sold === confirmed;
    const sellsAll = sold === Math.min(race.units, race.buyers) && unanswered === 0;
    const full = fared.killed > 0 || sellsAll;
    return {
      passed: counts && full && broken.length === 0,
      buyers: race.buyers,
      units: race.units,
      processes: race.processes,
      killed: fared.killed,
      confirmed,
      sold,
      refused: fared.reports.length - confirmed,
      unanswered,
      elapsedMs,
      broken,
    };
  } finally {
    const ctx = operatorContext(tenant.id);
    await session.app.tenants.suspend(ctx, tenant.id);
    await session.app.tenants.erase(ctx, tenant.id);
  }
}

async function stockOneProduct(
  { app }: Session,
  tenantId: TenantId,
  units: number,
): Promise<VariantId> {
  const ctx = operatorContext(tenantId);
  const { catalog, inventory } = app.commerce;
  const [made] = await catalog.upsertProducts(ctx, [
    {
      handle: "the-one",
      title: "The one",
      status: "published",
      variants: [{ sku: "ONE", prices: [{ currency: "EUR", amountMinor: 1_000 }] }],
    },
  ]);
  const variantId = made?.ok ? made.value.product.variants[0]?.id : undefined;
  if (!variantId) throw new Error(`the product could not be made: ${JSON.stringify(made)}`);
  const locationId = newId<"stock location">();
  await inventory.createLocation(ctx, {
    id: locationId,
    code: "main",
    name: "Main",
    priority: 1,
    active: true,
  });
  await inventory.setStock(ctx, [{ variantId, locationId, onHand: units }]);
  return variantId;
}

interface Running extends Race {
  readonly tenantId: string;
  readonly variantId: string;
}

async function runRace(
  output: Output,
  race: Running,
): Promise<{ readonly reports: readonly BuyerReport[]; readonly killed: number }> {
  const reports: BuyerReport[] = [];
  const progress = createProgress(output);
  const worker = new URL("./prove-buyers.ts", import.meta.url);
  const children = Array.from({ length: race.processes }, () =>
    fork(worker, { stdio: ["ignore", "inherit", "inherit", "ipc"] }),
  );
  let killed = 0;
  const onReport = (child: ChildProcess, report: BuyerReport) => {
    reports.push(report);
    progress.update(reports.length, race.buyers, "buyers");
    // Every second process dies in the middle of its buyers.
    const isVictim = race.kill && children.indexOf(child) % 2 === 1;
    if (isVictim && child.signalCode === null && reports.length > race.buyers / 4) {
      if (child.kill("SIGKILL")) killed++;
    }
  };
  await Promise.all(children.map((child, at) => sellIn(child, shareOf(race, at), onReport)));
  progress.stop();
  return {
    reports,
    killed: children.filter(({ signalCode }) => signalCode === "SIGKILL").length || killed,
  };
}

function shareOf(race: Running, at: number): RaceOrder {
  const count =
    Math.floor(race.buyers / race.processes) + (at < race.buyers % race.processes ? 1 : 0);
  return {
    tenantId: race.tenantId,
    variantId: race.variantId,
    buyers: Array.from({ length: count }, () => newId()),
  };
}

function sellIn(
  child: ChildProcess,
  order: RaceOrder,
  onReport: (child: ChildProcess, report: BuyerReport) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on("message", (message: BuyerReport | "ready") => {
      if (message === "ready") child.send(order);
      else onReport(child, message);
    });
    child.once("error", reject);
    // Reports may still be in the channel when the process has ended: it closes behind them.
    const isDrained = new Promise<void>((drained) => child.once("disconnect", drained));
    child.once("exit", async (code, signal) => {
      await isDrained;
      if (code === 0 || signal === "SIGKILL") resolve();
      else reject(new Error(`a buyers' process ended with ${code ?? signal}`));
    });
  });
}

function countOrders({ app }: Session, tenantId: TenantId): Promise<number> {
  return app.db.read(tenantId, async (tx) => {
    const rows = await tx.rows<{ count: number }>({
      name: "",
      text: "select count(*)::int as count from orders where status <> 'cancelled'",
      values: [],
    });
    return rows[0]?.count ?? 0;
  });
}

function tell(verdict: Verdict): string {
  const { buyers, units, processes, killed, confirmed, sold, refused, unanswered } = verdict;
  return [
    `${buyers} buyers for ${units} units, ${processes} processes, ${killed} killed`,
    `confirmed ${confirmed}, sold ${sold}, refused ${refused}, unanswered ${unanswered}`,
    ...verdict.broken.map(({ id, violations }) => `BROKEN ${id}: ${JSON.stringify(violations[0])}`),
    `${verdict.passed ? "verdict: every promise holds" : "verdict: BROKEN"} (${verdict.elapsedMs} ms)`,
  ].join("\n");
}
