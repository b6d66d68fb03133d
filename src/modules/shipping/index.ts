import type { Destination } from "../../kernel/area.ts";
import type { Context } from "../../kernel/context.ts";
import type { TenantId } from "../../kernel/ids.ts";
import type { Db } from "../../platform/db/db.ts";
import { createUnitOfWork } from "../../platform/idempotency/unit-of-work.ts";
import { type Kept, keepByVersion } from "../../platform/versions/versions.ts";
import {
  type CommandDeps,
  createMethod,
  createZone,
  deleteMethod,
  deleteZone,
  type Outcome,
  type Target,
  updateMethod,
  updateZone,
} from "./commands.ts";
import type {
  NewShippingMethod,
  NewShippingZone,
  ShippingCart,
  ShippingMethod,
  ShippingMethodId,
  ShippingMethodPatch,
  ShippingQuote,
  ShippingTable,
  ShippingZone,
  ShippingZoneId,
  ShippingZonePatch,
} from "./contract.ts";
import { quoteShipping } from "./quote.ts";
import {
  findMethod,
  findZone,
  listMethods,
  listZones,
  loadShipping,
  shippingVersion,
} from "./store.ts";

export type { Target } from "./commands.ts";
export { shippingRoutes } from "./routes.ts";

/** What shipping needs from outside; `app.ts` provides it. */
export interface ShippingDeps {
  readonly db: Db;
}

/** What the rest of the system may ask of shipping. */
export interface Shipping {
  createZone(ctx: Context, command: NewShippingZone): Outcome<ShippingZone>;
  updateZone(
    ctx: Context,
    target: Target<ShippingZoneId>,
    patch: ShippingZonePatch,
  ): Outcome<ShippingZone>;
  deleteZone(ctx: Context, id: ShippingZoneId): Outcome<void>;
  findZone(tenantId: TenantId, id: ShippingZoneId): Promise<ShippingZone | undefined>;
  listZones(tenantId: TenantId): Promise<readonly ShippingZone[]>;
  createMethod(ctx: Context, command: NewShippingMethod): Outcome<ShippingMethod>;
  updateMethod(
    ctx: Context,
    target: Target<ShippingMethodId>,
    patch: ShippingMethodPatch,
  ): Outcome<ShippingMethod>;
  deleteMethod(ctx: Context, id: ShippingMethodId): Outcome<void>;
  findMethod(tenantId: TenantId, id: ShippingMethodId): Promise<ShippingMethod | undefined>;
  listMethods(tenantId: TenantId): Promise<readonly ShippingMethod[]>;
  /** All that quotes need, as of the caller's transaction: from memory, or loaded in it. */
  readonly shippingTable: Kept<ShippingTable>;
  /** Prices every method that ships a cart to a destination; pure. */
  quoteShipping(
    cart: ShippingCart,
    destination: Destination,
    table: ShippingTable,
  ): readonly ShippingQuote[];
}

/** Builds the module. */
export function createShipping({ db }: ShippingDeps): Shipping {
  const deps: CommandDeps = { work: createUnitOfWork(db) };
  const name = "shipping.read";
  return {
    createZone: (ctx, command) => createZone(deps, ctx, command),
    updateZone: (ctx, target, patch) => updateZone(deps, ctx, target, patch),
    deleteZone: (ctx, id) => deleteZone(deps, ctx, id),
    findZone: (tenantId, id) => db.read(tenantId, (tx) => findZone(tx, id), { name }),
    listZones: (tenantId) => db.read(tenantId, listZones, { name }),
    createMethod: (ctx, command) => createMethod(deps, ctx, command),
    updateMethod: (ctx, target, patch) => updateMethod(deps, ctx, target, patch),
    deleteMethod: (ctx, id) => deleteMethod(deps, ctx, id),
    findMethod: (tenantId, id) => db.read(tenantId, (tx) => findMethod(tx, id), { name }),
    listMethods: (tenantId) => db.read(tenantId, listMethods, { name }),
    shippingTable: keepByVersion({ name: shippingVersion, load: loadShipping }),
    quoteShipping,
  };
}
