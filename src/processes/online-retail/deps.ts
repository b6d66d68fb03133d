import type { Context } from "../../kernel/context.ts";
import type { Result } from "../../kernel/result.ts";
import type { ProductInput } from "../../modules/catalog/contract.ts";
import type { Journal } from "../../modules/ledger/contract.ts";
import type { NewReturn } from "../../modules/orders/contract.ts";
import type { PlaceOrder } from "../checkout/contract.ts";

/** What the import needs of the rest; all of it is what HTTP uses too. `app.ts` provides it. */
export interface OnlineRetailDeps {
  /** Makes products that are missing. */
  readonly upsertProducts: (ctx: Context, products: readonly ProductInput[]) => Promise<void>;
  /** Variants by SKU, of those that exist. */
  readonly findVariants: (
    ctx: Context,
    skus: readonly string[],
  ) => Promise<ReadonlyMap<string, string>>;
  /** Customers by email, made where missing; in order. */
  readonly upsertGuests: (
    ctx: Context,
    guests: readonly { readonly email: string; readonly name: string }[],
  ) => Promise<readonly string[]>;
  /** Receives whatever is missing so that the units can be taken. */
  readonly ensureStock: (
    ctx: Context,
    needs: ReadonlyMap<string, number>,
    reference: string,
  ) => Promise<void>;
  /** Takes units away; the id makes a second call a repetition. */
  readonly adjustStock: (
    ctx: Context,
    adjustment: {
      readonly id: string;
      readonly reason: "damaged" | "lost" | "correction";
      readonly reference: string;
      readonly lines: readonly { readonly variantId: string; readonly quantity: number }[];
    },
  ) => Promise<Result<unknown>>;
  /** Which of these orders exist. */
  readonly findOrders: (ctx: Context, ids: readonly string[]) => Promise<ReadonlySet<string>>;
  readonly placeOrder: (ctx: Context, command: PlaceOrder) => Promise<Result<unknown>>;
  readonly returnGoods: (ctx: Context, wanted: NewReturn) => Promise<Result<unknown>>;
  readonly postJournal: (ctx: Context, journal: Journal) => Promise<Result<unknown>>;
}
