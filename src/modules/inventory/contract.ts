import type { Id } from "../../kernel/ids.ts";
import type { Failure } from "../../kernel/result.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";
import type { VariantId } from "../catalog/contract.ts";

/** Names a place that holds stock. */
export type LocationId = Id<"stock location">;

/** Names a reservation; made by the caller, so that a retry is the same reservation. */
export type ReservationId = Id<"reservation">;

/** Names an adjustment, transfer or count; made by the caller, for the same reason. */
export type StockCommandId = Id<"stock command">;

/** Most lines of one reservation or adjustment. */
export const linesMax = 2_000;
/** Most units in one line. */
export const quantityMax = 1_000_000_000;
/** Longest life of a reservation with an end, milliseconds: 31 days. */
export const ttlMsMax = 31 * 24 * 3_600_000;
/** `backorderLimit` of a SKU that may always be promised. */
export const backorderUnlimited = 2_147_483_647;

/** A place that holds stock. */
export interface Location {
  readonly id: LocationId;
  /** Short name, unique in the tenant: `berlin`. */
  readonly code: string;
  readonly name: string;
  /** Lower is asked first when a request names no location. */
  readonly priority: number;
  readonly active: boolean;
}

/** Stock of one variant at one location. */
export interface StockLevel {
  readonly variantId: VariantId;
  readonly locationId: LocationId;
  readonly onHand: number;
  readonly reserved: number;
  /** onHand + backorderLimit - reserved. */
  readonly available: number;
  /** Units that may be promised beyond what is there; 0 forbids overselling. */
  readonly backorderLimit: number;
  /** Reported as low at so many available units or fewer. */
  readonly lowAt?: number;
  readonly version: number;
}

/** Stock of one variant over all active locations. */
export interface Availability {
  readonly variantId: VariantId;
  readonly onHand: number;
  readonly reserved: number;
  readonly available: number;
}

/** Shoppers are told how many are left up to this many. */
export const fewLeftMax = 5;

/** What shoppers are told about a variant's stock. */
export type ShelfState =
  | { readonly variantId: VariantId; readonly state: "in_stock" | "backorder" | "sold_out" }
  | { readonly variantId: VariantId; readonly state: "few_left"; readonly left: number };

/** Units of one variant that a reservation wants. */
export interface ReservationLine {
  readonly variantId: VariantId;
  /** 1 to {@link quantityMax}. */
  readonly quantity: number;
  /** Only from there; absent: by priority, split over locations if one has too few. */
  readonly locationId?: LocationId;
}

/** Asks for units of several variants, all or nothing. */
export interface ReservationRequest {
  readonly id: ReservationId;
  /** What it is for: `order:<uuid>`, `cart:<uuid>`. */
  readonly reference?: string;
  /** 1 to {@link linesMax}; lines of one variant and location are merged. */
  readonly lines: readonly ReservationLine[];
  /** Milliseconds until it lapses by the database's clock; absent: never. */
  readonly ttlMs?: number;
}

/** Units promised at one location. */
export interface Allocation {
  readonly variantId: VariantId;
  readonly locationId: LocationId;
  readonly quantity: number;
}

/** Life of a reservation: active, then one of the others for ever. */
export type ReservationState = "active" | "committed" | "released" | "expired";

/** A reservation as it stands. */
export interface Reservation {
  readonly id: ReservationId;
  readonly reference?: string;
  readonly state: ReservationState;
  readonly expiresAt?: Date;
  readonly allocations: readonly Allocation[];
}

/** What settling a reservation came to. */
export interface Settlement {
  readonly id: ReservationId;
  readonly state: ReservationState;
  /** True when it had been settled so before. */
  readonly repeated: boolean;
}

/**
 * How concurrent reservations of one SKU are kept from overselling it.
 *
 * `atomic`: one conditional update; `optimistic`: read, compare the version, try again;
 * `pessimistic`: lock, then decide; `flash`: concurrent callers share one transaction.
 */
export type ReservationStrategy = "atomic" | "optimistic" | "pessimistic" | "flash";

/** Why stock changes by hand. */
export const adjustmentReasons = [
  "received",
  "returned",
  "damaged",
  "lost",
  "found",
  "correction",
  "sold",
] as const;

/** Why stock changes by hand. */
export type AdjustmentReason = (typeof adjustmentReasons)[number];

/** Why stock moved: by hand, by a count, a transfer, or a committed reservation. */
export type MovementReason = AdjustmentReason | "counted" | "transferred" | "sale";

/** A change of on-hand stock with its reason; all lines or none. */
export interface StockAdjustment {
  readonly id: StockCommandId;
  readonly reason: AdjustmentReason;
  readonly reference?: string;
  readonly lines: readonly AdjustmentLine[];
}

/** One line of an adjustment. */
export interface AdjustmentLine {
  readonly variantId: VariantId;
  readonly locationId: LocationId;
  /** Signed units: a receipt is positive. */
  readonly quantity: number;
}

/** Moves units between two locations. */
export interface StockTransfer {
  readonly id: StockCommandId;
  readonly from: LocationId;
  readonly to: LocationId;
  readonly reference?: string;
  readonly lines: readonly { readonly variantId: VariantId; readonly quantity: number }[];
}

/** Sets what a count found, and how the SKU is to be treated there. */
export interface StockSetting {
  readonly variantId: VariantId;
  readonly locationId: LocationId;
  /** Counted units; absent: left alone. */
  readonly onHand?: number;
  readonly backorderLimit?: number;
  /** null: never reported as low. */
  readonly lowAt?: number | null;
}

/** One explained change of on-hand stock. */
export interface Movement {
  readonly id: StockCommandId;
  readonly variantId: VariantId;
  readonly locationId: LocationId;
  readonly quantity: number;
  readonly reason: MovementReason;
  readonly reference?: string;
  readonly recordedAt: Date;
}

/** Why a reservation is refused. */
export type ReserveFailure =
  | {
      readonly code: "inventory.out_of_stock";
      readonly variantId: VariantId;
      readonly requested: number;
      readonly available: number;
    }
  | { readonly code: "inventory.invalid_lines"; readonly reason: string }
  | { readonly code: "inventory.reservation_differs"; readonly id: ReservationId }
  | { readonly code: "inventory.conflict"; readonly id: ReservationId }
  | ReservationClosed;

/** The reservation has been settled otherwise, for good. */
export interface ReservationClosed {
  readonly code: "inventory.reservation_closed";
  readonly id: ReservationId;
  readonly state: ReservationState;
}

/** Why a reservation is not settled. */
export type SettleFailure =
  | { readonly code: "inventory.reservation_not_found"; readonly id: ReservationId }
  | ReservationClosed;

/** Why stock is not changed. */
export type StockFailure =
  | { readonly code: "inventory.invalid_lines"; readonly reason: string }
  | { readonly code: "inventory.location_not_found"; readonly locationId: LocationId }
  | {
      readonly code: "inventory.insufficient_stock";
      readonly variantId: VariantId;
      readonly locationId: LocationId;
      /** Units that can be taken away: the others are reserved or not there. */
      readonly available: number;
    }
  | { readonly code: "inventory.command_differs"; readonly id: StockCommandId };

/** Why a location is not made. */
export type LocationFailure = {
  readonly code: "inventory.location_taken";
  /** Code or id that is taken. */
  readonly taken: string;
};

/** Everything inventory refuses with. */
export type InventoryFailure = ReserveFailure | SettleFailure | StockFailure | LocationFailure;

/** HTTP status of every failure. */
export const inventoryFailureStatuses: FailureStatuses<InventoryFailure & Failure> = {
  "inventory.out_of_stock": 409,
  "inventory.invalid_lines": 422,
  "inventory.reservation_differs": 409,
  "inventory.conflict": 409,
  "inventory.reservation_not_found": 404,
  "inventory.reservation_closed": 409,
  "inventory.location_not_found": 404,
  "inventory.insufficient_stock": 409,
  "inventory.command_differs": 409,
  "inventory.location_taken": 409,
};

/** Data of each event inventory appends, by type. */
export interface InventoryEvents {
  /**
   * Units were promised to a reservation; in flash-sale mode to a batch of them at once, told by one
   * event: the log would otherwise be most of the cost.
   */
  readonly "inventory.stock_reserved": {
    readonly reservationIds: readonly ReservationId[];
    /** Of the one reservation; absent for a batch. */
    readonly reference?: string;
    /** Units by variant and location, all reservations together. */
    readonly allocations: readonly Allocation[];
  };
  /** Reserved and committed in one: the money was there already. */
  readonly "inventory.stock_sold": {
    readonly reservationId: ReservationId;
    readonly reference?: string;
    readonly allocations: readonly Allocation[];
  };
  readonly "inventory.reservation_committed": ReservationSettled;
  readonly "inventory.reservation_released": ReservationSettled;
  readonly "inventory.reservation_expired": ReservationSettled;
  readonly "inventory.stock_adjusted": {
    readonly commandId: StockCommandId;
    readonly reason: MovementReason;
    readonly lines: readonly Allocation[];
  };
  readonly "inventory.stock_transferred": {
    readonly commandId: StockCommandId;
    readonly from: LocationId;
    readonly to: LocationId;
    readonly lines: readonly { readonly variantId: VariantId; readonly quantity: number }[];
  };
  readonly "inventory.location_created": { readonly locationId: LocationId; readonly code: string };
}

/** Data of the events that end a reservation. */
export interface ReservationSettled {
  readonly reservationId: ReservationId;
  readonly reference?: string;
}

/** Types of the events inventory appends. */
export const inventoryEventTypes: readonly (keyof InventoryEvents)[] = [
  "inventory.stock_reserved",
  "inventory.stock_sold",
  "inventory.reservation_committed",
  "inventory.reservation_released",
  "inventory.reservation_expired",
  "inventory.stock_adjusted",
  "inventory.stock_transferred",
  "inventory.location_created",
];
