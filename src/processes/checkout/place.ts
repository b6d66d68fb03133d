import { assert, present } from "../../kernel/assert.ts";
import { fail, ok, type Result } from "../../kernel/result.ts";
import type { Cart, CartId } from "../../modules/carts/contract.ts";
import type { TablesByCurrency, Terms } from "../../modules/carts/index.ts";
import type { ReserveFailure } from "../../modules/inventory/contract.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { claimKeys, storeOutcomes } from "../../platform/idempotency/keys.ts";
import { inFlight, keyReused } from "../../platform/idempotency/unit-of-work.ts";
import type { AgreedOrder, Basket, CheckoutOutcome, PlaceOrderFailure } from "./contract.ts";
import type { CheckoutDeps } from "./deps.ts";
import { type Draft, draftOrder } from "./draft.ts";
import {
  type Batch,
  isSoldAtOnce,
  type PlaceItem,
  type PlaceResult,
  type Placing,
  reservationIdOf,
} from "./place-batch.ts";
import { writeOrders } from "./place-write.ts";

/** What an order is made from. */
interface Found {
  readonly index: number;
  readonly basket: Basket;
  readonly cart: Cart | undefined;
  readonly agreed?: AgreedOrder;
}

/**
 * When the stock of a batch is taken. `last`: everything else is written before, so that its rows are
 * locked for the end of the transaction only, and batches of other processes work meanwhile; one order
 * that is refused makes the batch be done again. `first`: refused orders drop out.
 */
export type StockTurn = "first" | "last";

/** A batch that took its stock last had an order without: nothing was kept, do it with stock first. */
export class StockRefusedError extends Error {
  override readonly name = "StockRefusedError";
}

/**
 * Places the orders of one batch in one transaction. Locks are taken in one order by every
 * transaction of the product: idempotency keys, carts, stock, promotions, orders, payments. Orders
 * and payments that are written before stock is taken are new: nobody can wait for them.
 *
 * @returns one result per item, in order; a refused item leaves nothing behind
 * @throws StockRefusedError when stock was to be taken last and did not suffice
 */
export async function placeOrders(
  deps: CheckoutDeps,
  tx: TenantTx,
  items: readonly PlaceItem[],
  turn: StockTurn,
): Promise<readonly PlaceResult[]> {
  const batch: Batch = { deps, tx, items, results: items.map(() => undefined) };
  const { found, terms } = await findBaskets(batch);
  const priced = await priceBaskets(batch, found, terms);
  const placing = await secureAndWrite(batch, priced, turn);
  storeOutcomes(
    tx,
    placing.map(({ index, item }) => ({
      claim: item.claim,
      value: outcomeIn(batch.results[index]),
    })),
  );
  return batch.results.map((result) => present(result, "a result for every order of the batch"));
}

async function secureAndWrite(
  batch: Batch,
  priced: readonly Placing[],
  turn: StockTurn,
): Promise<readonly Placing[]> {
  // Promotions are used after stock is had.
  const usesPromotions = priced.some(({ draft }) => draft.prices.promotions.length > 0);
  if (turn === "first" || usesPromotions) {
    const placing = await secure(batch, priced);
    await writeOrders(batch, placing);
    return placing;
  }
  await writeOrders(batch, priced);
  await batch.tx.flush();
  const reserved = await reserve(batch, priced);
  if (reserved.some((result) => !result.ok)) throw new StockRefusedError();
  return priced;
}

/** Sorts out retries, and finds what each new order is made from, and on which terms. */
async function findBaskets(
  batch: Batch,
): Promise<{ readonly found: readonly Found[]; readonly terms: Terms | undefined }> {
  const { deps, tx, items, results } = batch;
  const [verdicts, carts, known, terms] = await Promise.all([
    claimKeys(
      tx,
      items.map(({ claim }) => claim),
    ),
    lockCarts(deps, tx, items),
    findKnownOrders(batch),
    loadTerms(batch),
  ]);
  const takenCarts = new Set<CartId>();
  const now = deps.clock();
  const found: Found[] = [];
  for (const [index, item] of items.entries()) {
    const verdict = verdicts[index];
    if (verdict?.kind === "replay") results[index] = ok(verdict.value as CheckoutOutcome);
    else if (verdict?.kind === "mismatch") results[index] = fail(keyReused);
    else if (verdict?.kind === "in_flight") results[index] = fail(inFlight);
    else if (!deps.idFits(item.command.orderId, placedAtOf(item, now))) {
      results[index] = fail({ code: "checkout.order_id_misdated", orderId: item.command.orderId });
    } else if (known.has(item.command.orderId)) {
      results[index] = fail({ code: "checkout.order_exists", orderId: item.command.orderId });
    } else {
      const basket = findBasket(item, carts, takenCarts);
      if (basket.ok) found.push({ index, ...basket.value });
      else results[index] = basket;
    }
  }
  return { found, terms };
}

/** An agreed order has its prices; what they once depended on need not be loaded. */
async function loadTerms({ deps, tx, items }: Batch): Promise<Terms | undefined> {
  if (items.every(({ command }) => "agreed" in command.from)) return undefined;
  const codes = items.flatMap(({ command }) =>
    "basket" in command.from ? command.from.basket.couponCodes : [],
  );
  return deps.carts.loadTerms(tx, codes);
}

function outcomeIn(result: PlaceResult | undefined): CheckoutOutcome {
  assert(result?.ok, "a written order has an outcome");
  return result.value;
}

async function lockCarts(
  deps: CheckoutDeps,
  tx: TenantTx,
  items: readonly PlaceItem[],
): Promise<ReadonlyMap<CartId, Cart>> {
  const ids = items.flatMap(({ command }) =>
    "cartId" in command.from ? [command.from.cartId] : [],
  );
  return ids.length === 0 ? new Map() : deps.carts.lock(tx, [...new Set(ids)]);
}

/**
 * A retry may bring a known order id under no key, or another one. It is looked for when an order
 * stands alone: in a batch the insert fails, and the batch is done again one by one.
 */
async function findKnownOrders({ deps, tx, items }: Batch): Promise<ReadonlySet<string>> {
  const [only, ...others] = items;
  if (!only || others.length > 0) return new Set();
  return deps.findOrderIds(tx, [only.command.orderId]);
}

function placedAtOf({ command }: PlaceItem, now: Date): Date {
  return "agreed" in command.from ? command.from.agreed.placedAt : now;
}

function findBasket(
  { command }: PlaceItem,
  carts: ReadonlyMap<CartId, Cart>,
  taken: Set<CartId>,
): Result<Omit<Found, "index">, PlaceOrderFailure> {
  if ("basket" in command.from) return ok({ basket: command.from.basket, cart: undefined });
  if ("agreed" in command.from) {
    const { agreed } = command.from;
    return ok({ basket: agreed.basket, cart: undefined, agreed });
  }
  const { cartId } = command.from;
  const cart = carts.get(cartId);
  if (!cart) return fail({ code: "carts.not_found", cartId });
  if (cart.orderId !== null) {
    return fail({ code: "carts.already_ordered", cartId, orderId: cart.orderId });
  }
  if (taken.has(cartId)) return fail(inFlight);
  taken.add(cartId);
  return ok({ basket: cart, cart });
}

async function priceBaskets(
  { deps, tx, items, results }: Batch,
  found: readonly Found[],
  terms: Terms | undefined,
): Promise<readonly Placing[]> {
  if (found.length === 0) return [];
  const open = found.filter(({ agreed }) => !agreed);
  const tables =
    open.length === 0
      ? undefined
      : await deps.carts.loadTables(
          tx,
          open.map(({ basket }) => basket),
          present(terms, "terms"),
        );
  const now = deps.clock();
  const placing: Placing[] = [];
  for (const { index, basket, cart, agreed } of found) {
    const item = items[index] as PlaceItem;
    const draft = agreed
      ? ok({ command: item.command, basket, prices: agreed.prices, agreed })
      : draftBasket({ deps, item, basket, tables: present(tables, "pricing tables"), now });
    if (draft.ok) placing.push({ index, item, draft: draft.value, cart });
    else results[index] = draft;
  }
  return placing;
}

interface Drafting {
  readonly deps: CheckoutDeps;
  readonly item: PlaceItem;
  readonly basket: Basket;
  readonly tables: TablesByCurrency;
  readonly now: Date;
}

function draftBasket({
  deps,
  item,
  basket,
  tables,
  now,
}: Drafting): Result<Draft, PlaceOrderFailure> {
  const prices = deps.carts.pricing.price(basket, tables(basket.currency), now);
  if (!prices.ok) return prices;
  return draftOrder(item.command, basket, prices.value, deps.providers);
}

/** Takes stock, then promotions; whoever gets one without the other gives it back. */
async function secure(batch: Batch, placing: readonly Placing[]): Promise<readonly Placing[]> {
  const reserved = await reserve(batch, placing);
  const kept = placing.filter(({ index }, at) => {
    const result = present(reserved[at], "a result per reservation");
    if (!result.ok) batch.results[index] = result;
    return result.ok;
  });
  return redeem(batch, kept);
}

const nothingToReserve = ok(undefined);

/** Takes the stock of orders. @returns one result per order, in order */
async function reserve(
  { deps, tx }: Batch,
  placing: readonly Placing[],
): Promise<readonly Result<unknown, ReserveFailure>[]> {
  const holding = placing.filter(({ draft }) => draft.basket.lines.length > 0);
  if (holding.length === 0) return placing.map(() => nothingToReserve);
  const reserved = await deps.reserveStock(
    tx,
    holding.map(({ item, draft }) => ({
      origin: item.ctx,
      // With a promotion the stock may have to go back: it is committed when both are had.
      sold: isSoldAtOnce(deps, draft) && draft.prices.promotions.length === 0,
      item: {
        id: reservationIdOf(item.command.orderId),
        reference: `order:${item.command.orderId}`,
        lines: draft.basket.lines as never,
      },
    })),
  );
  const results = new Map(holding.map((each, at) => [each, reserved[at]]));
  return placing.map((each) => results.get(each) ?? nothingToReserve);
}

async function redeem(batch: Batch, placing: readonly Placing[]): Promise<readonly Placing[]> {
  const { deps, tx, results } = batch;
  const using = placing.filter(({ draft }) => draft.prices.promotions.length > 0);
  if (using.length === 0) return placing;
  const redeemed = await deps.redeemPromotions(
    tx,
    using.map(({ item, draft }) => ({
      origin: item.ctx,
      item: {
        orderId: item.command.orderId,
        customerId: draft.basket.customerId,
        uses: draft.prices.promotions.map(({ promotionId, couponId }) => ({
          promotionId: promotionId as never,
          couponId: couponId as never,
        })),
      },
    })),
  );
  const refused = using.filter(({ index }, at) => {
    const result = present(redeemed[at], "a result per redemption");
    if (!result.ok) results[index] = result;
    return !result.ok;
  });
  if (refused.length === 0) return placing;
  await deps.releaseReservations(
    tx,
    refused.map(({ item }) => ({
      origin: item.ctx,
      item: reservationIdOf(item.command.orderId),
    })),
  );
  const lost = new Set(refused);
  return placing.filter((each) => !lost.has(each));
}
