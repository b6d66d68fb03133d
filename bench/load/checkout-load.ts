import { round } from "../harness.ts";
import { checkoutScenario, type ShopTarget } from "./checkout-scenarios.ts";
import { type HttpLoad, type HttpLoadReport, loadHttp } from "./http-load.ts";

/** Buyers of one shop. */
export interface CheckoutLoad extends HttpLoad {
  readonly target: ShopTarget;
}

/** Checkouts in a closed loop; `perSecond` has decimals, because peers make few. */
export async function runCheckouts(load: CheckoutLoad): Promise<HttpLoadReport> {
  const begin = performance.now();
  const report = await loadHttp(load, checkoutScenario(load.target));
  const seconds = (performance.now() - begin) / 1_000;
  return { ...report, perSecond: round(report.count / seconds) };
}

process.once("message", async (load: CheckoutLoad) => {
  process.send?.(await runCheckouts(load));
});
