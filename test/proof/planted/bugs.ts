// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are source code

/** A known-bad change of the source, and the tests that have to notice it. */
export interface PlantedBug {
  /** What is wrong, in a few words. */
  readonly name: string;
  /** Promise it breaks. */
  readonly promise: string;
  /** File below the root. */
  readonly file: string;
  /** Text that occurs in it at least once; every occurrence is replaced. */
  readonly find: string;
  readonly replace: string;
  /** Test files of which at least one must fail. */
  readonly tests: readonly string[];
}

const checkoutTest = "src/processes/checkout/checkout.db.test.ts";
const refundsTest = "src/processes/refunds/refunds.db.test.ts";

/** Every bug is one that somebody once shipped. */
export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "stock is read without FOR UPDATE",
    promise: "S1",
    file: "src/modules/inventory/store.ts",
    find: "order by location_id for update) as s",
    replace: "order by location_id) as s",
    tests: ["src/modules/inventory/reserve.db.test.ts", "src/modules/inventory/buyers.e2e.test.ts"],
  },
  {
    name: "SET instead of SET LOCAL for the tenant",
    promise: "S9",
    file: "src/platform/db/transaction.ts",
    find: "set_config('app.tenant', ${opening.tenantId ?? \"\"}, true)",
    replace: "set_config('app.tenant', ${opening.tenantId ?? \"\"}, false)",
    tests: ["test/proof/forgotten-tenant.db.test.ts"],
  },
  {
    name: "row-level security lets everybody in",
    promise: "S9",
    file: "src/platform/db/migrations/0001_platform.sql",
    find: "create policy tenant on %s using (tenant_id = (select platform.current_tenant()))",
    replace: "create policy tenant on %s using (true)",
    tests: ["src/platform/placement/isolation.db.test.ts"],
  },
  {
    name: "the reader of events has no horizon fence",
    promise: "S5",
    file: "src/platform/events/log.ts",
    find: "and e.horizon < ${watermark}::bigint ${ofTypes}",
    replace: "and (e.horizon < ${watermark}::bigint or true) ${ofTypes}",
    tests: [
      "src/platform/events/subscriptions.db.test.ts",
      "src/platform/events/reading.db.test.ts",
      "src/platform/events/crash.sim.test.ts",
    ],
  },
  {
    name: "the idempotency key is looked at after the work",
    promise: "S8",
    file: "src/platform/idempotency/unit-of-work.ts",
    find: 'if (verdict?.kind === "replay") return ok(verdict.value as Value);',
    replace:
      'if (verdict?.kind === "replay") {\n        await work(tx);\n        return ok(verdict.value as Value);\n      }',
    tests: ["src/platform/idempotency/idempotency.db.test.ts"],
  },
  {
    name: "another body under a used key gets the first answer",
    promise: "S8",
    file: "src/platform/idempotency/keys.ts",
    find: 'if (row.fingerprint !== claim.fingerprint) return { kind: "mismatch" };',
    replace: "",
    tests: [checkoutTest],
  },
  {
    name: "a saga's fencing token is not looked at",
    promise: "S10",
    file: "src/platform/sagas/store.ts",
    find: "and s.token = n.token and s.status in ('running', 'compensating')\n    returning s.id`;",
    replace: "and s.status in ('running', 'compensating')\n    returning s.id`;",
    tests: [
      "src/platform/sagas/store.db.test.ts",
      "src/platform/sagas/sagas.db.test.ts",
      "src/platform/sagas/crash.sim.test.ts",
    ],
  },
  {
    name: "a job is settled by whoever lost its lease",
    promise: "S10",
    file: "src/platform/jobs/settle.ts",
    find: "join batch on batch.id = job.batch_id",
    replace: "left join batch on batch.id = job.batch_id",
    tests: ["src/platform/jobs/lease.db.test.ts", "src/platform/jobs/handle.db.test.ts"],
  },
  {
    name: "whoever held a lock is admitted, however old its token",
    promise: "S10",
    file: "src/platform/locks/fence.ts",
    find: "where fence.token <= excluded.token",
    replace: "where true",
    tests: ["src/platform/locks/postgres-store.db.test.ts"],
  },
  {
    name: "a lock begins its tokens anew when it was given back",
    promise: "S10",
    file: "src/platform/locks/postgres-store.ts",
    find: "token = greatest(lease.token + 1, excluded.token)",
    replace: "token = lease.token",
    tests: ["src/platform/locks/postgres-store.db.test.ts"],
  },
  {
    name: "callers are answered before the commit",
    promise: "S7",
    file: "src/platform/db/db.ts",
    find: "if (verdict.keep) await open.commit();",
    replace: "if (verdict.keep) open.commit().catch(() => {});",
    tests: ["src/platform/db/unit-of-work.db.test.ts", checkoutTest],
  },
  {
    name: "the parts of a split amount lose the rest",
    promise: "S2",
    file: "src/kernel/money.ts",
    find: "byRemainder.slice(0, missing)",
    replace: "byRemainder.slice(0, 0)",
    tests: ["src/kernel/money.test.ts"],
  },
  {
    name: "halves are rounded down",
    promise: "S2",
    file: "src/kernel/money.ts",
    find: "(magnitude * 2n + denominator) / (denominator * 2n)",
    replace: "magnitude / denominator",
    tests: ["src/kernel/money.test.ts"],
  },
  {
    name: "a declined order keeps its stock",
    promise: "S4",
    file: "src/processes/refunds/effects.ts",
    find: "ids as string[] as ReservationId[],",
    replace: "[] as ReservationId[],",
    tests: [checkoutTest],
  },
  {
    name: "a declined order keeps its coupon",
    promise: "S4",
    file: "src/processes/refunds/effects.ts",
    find: "await deps.releasePromotions(tx, first.origin, ids);",
    replace: "",
    tests: [checkoutTest],
  },
  {
    name: "a declined order leaves its cart closed",
    promise: "S4",
    file: "src/processes/checkout/pay.ts",
    find: "moved.map(({ item }) => item.id),\n  );\n}\n\nasync function transition(",
    replace: "[],\n  );\n}\n\nasync function transition(",
    tests: [checkoutTest],
  },
  {
    name: "a capture is posted with its signs the wrong way round",
    promise: "S2",
    file: "src/modules/payments/journals.ts",
    find: '{ account: `provider:${provider}`, amountMinor, currency },\n      { account: "receivable", amountMinor: -amountMinor, currency },',
    replace:
      '{ account: `provider:${provider}`, amountMinor: -amountMinor, currency },\n      { account: "receivable", amountMinor, currency },',
    tests: [checkoutTest],
  },
  {
    name: "shipping is posted to the wrong side",
    promise: "S2",
    file: "src/processes/checkout/draft.ts",
    find: "-(prices.shipping?.netMinor ?? 0)",
    replace: "prices.shipping?.netMinor ?? 0",
    tests: [checkoutTest],
  },
  {
    name: "a paid order's stock stays reserved for ever",
    promise: "S4",
    file: "src/processes/checkout/pay.ts",
    find: "if (moved.length === 0) return;\n  await deps.commitReservations(",
    replace: "if (moved.length >= 0) return;\n  await deps.commitReservations(",
    tests: [checkoutTest],
  },
  {
    name: "returned goods do not come back to the shelf",
    promise: "S1",
    file: "src/processes/refunds/effects.ts",
    find: "lines: item.lines.filter(({ restock }) => restock),",
    replace: "lines: item.lines.filter(({ restock }) => !restock),",
    tests: [refundsTest],
  },
  {
    name: "whoever signs a notice is believed",
    promise: "S3",
    file: "src/modules/payments/signature.ts",
    find: "timingSafeEqual(given, wanted)",
    replace: "given !== wanted",
    tests: ["src/modules/payments/signature.test.ts"],
  },
  {
    name: "a paid order may be cancelled without its money going back",
    promise: "S3",
    file: "src/modules/orders/order.ts",
    find: 'paid: ["fulfilled", "refunded"],',
    replace: 'paid: ["fulfilled", "refunded", "cancelled"],',
    tests: ["src/modules/orders/order.test.ts", refundsTest],
  },
  {
    name: "the tenant is left out of a cache's keys",
    promise: "S9",
    file: "src/platform/cache/tier-names.ts",
    find: "keyOf: (tenantId, key) => `${scope}:${tenantId}=${plain(key)}`,",
    replace: "keyOf: (_tenantId, key) => `${scope}:=${plain(key)}`,",
    tests: ["src/platform/cache/cache.test.ts"],
  },
  {
    name: "what was being loaded when it was invalidated is cached",
    promise: "B10",
    file: "src/platform/cache/invalidating.ts",
    find: "  overtake(desk, invalidation);\n",
    replace: "",
    tests: ["src/platform/cache/cache.test.ts"],
  },
  {
    name: "a shared tier that was away is read before it heard what was removed",
    promise: "B10",
    file: "src/platform/cache/tier-link.ts",
    find: "if (link.isAway || !(await isTold(link))) return undefined;",
    replace: "if (link.isAway) return undefined;",
    tests: ["src/platform/cache/cache.sim.test.ts"],
  },
  {
    name: "the shared tier of a cache takes a value whose claim was taken away",
    promise: "B10",
    file: "src/platform/cache/redis-tier.ts",
    find: "elseif redis.call('get', claim) ~= token then",
    replace: "elseif verb ~= 'fill' and redis.call('get', claim) ~= token then",
    tests: ["src/platform/cache/redis-tier.e2e.test.ts"],
  },
  {
    name: "a server that comes back to a ring is read before it is told what it missed",
    promise: "B10",
    file: "src/platform/cache/ring-membership.ts",
    find: 'if (member.state === "away") await deliver(member);',
    replace: 'member.state = "live";',
    tests: ["src/platform/cache/ring-tier.sim.test.ts", "src/platform/cache/ring-tier.test.ts"],
  },
  {
    name: "a process that begins believes what nobody looked after",
    promise: "B10",
    file: "src/platform/cache/ring-membership.ts",
    find: "if (!isVouchedFor) missed.add({ isAll: true });",
    replace: "",
    tests: ["src/platform/cache/ring-tier.test.ts"],
  },
  {
    name: "a server that went back to an older state is believed",
    promise: "B10",
    file: "src/platform/cache/ring-membership.ts",
    find: "member.seen.life !== undefined && member.seen.life !== life",
    replace: "member.seen.life === life && member.seen.life !== life",
    tests: ["src/platform/cache/ring-tier.test.ts"],
  },
  {
    name: "invalidations are read past transactions that still run",
    promise: "B10",
    file: "src/platform/cache/postgres-bus.ts",
    find: "isAllSettled && last ? last : { horizon: watermark - 1, position: lastPosition };",
    replace: "rows.at(-1) ?? (isAllSettled && last ? last : progress.cursor);",
    tests: ["src/platform/cache/postgres-bus.db.test.ts"],
  },
];
