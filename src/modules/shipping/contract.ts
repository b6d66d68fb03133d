import type { Area } from "../../kernel/area.ts";
import type { Id } from "../../kernel/ids.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";

export type ShippingZoneId = Id<"shipping_zone">;
export type ShippingMethodId = Id<"shipping_method">;

/** A part of the world with prices of its own. */
export interface ShippingZone {
  readonly id: ShippingZoneId;
  readonly name: string;
  readonly areas: readonly Area[];
  readonly version: number;
}

/** A step of a price: it holds up to and including a bound; the last one has none. */
export interface ShippingBracket {
  /** Grams, or minor units of the subtotal; null for "and above". */
  readonly upTo: number | null;
  readonly amountMinor: number;
}

/** How a rate is computed. A cart above the last bound of its brackets is not shipped. */
export type ShippingPrice =
  | { readonly kind: "flat"; readonly amountMinor: number }
  | { readonly kind: "by_weight"; readonly brackets: readonly ShippingBracket[] }
  | { readonly kind: "by_subtotal"; readonly brackets: readonly ShippingBracket[] };

/** What a method costs in one zone and currency. */
export interface ShippingRate {
  readonly zoneId: ShippingZoneId;
  /** ISO 4217. */
  readonly currency: string;
  readonly price: ShippingPrice;
  /** Subtotal after discounts from which shipping is free. */
  readonly freeAboveMinor: number | null;
}

/** A way to ship. */
export interface ShippingMethod {
  readonly id: ShippingMethodId;
  readonly name: string;
  readonly description: string;
  readonly status: "active" | "disabled";
  /** Code of the tax category of the fee; null: taxed like goods without a category of their own. */
  readonly taxCategory: string | null;
  /** Ascending order of offer. */
  readonly position: number;
  readonly deliveryDaysMin: number | null;
  readonly deliveryDaysMax: number | null;
  readonly rates: readonly ShippingRate[];
  readonly version: number;
}

/** All a quote needs, loaded in one round trip. */
export interface ShippingTable {
  readonly zones: readonly ShippingZone[];
  /** Active methods, in order of offer. */
  readonly methods: readonly ShippingMethod[];
}

/** What the price of shipping depends on. */
export interface ShippingCart {
  /** ISO 4217. */
  readonly currency: string;
  /** Sum of the lines after discounts. */
  readonly subtotalMinor: number;
  readonly weightGrams: number;
}

/** An offer for one cart. */
export interface ShippingQuote {
  readonly methodId: ShippingMethodId;
  readonly zoneId: ShippingZoneId;
  readonly name: string;
  readonly description: string;
  readonly currency: string;
  readonly amountMinor: number;
  readonly taxCategory: string | null;
  readonly deliveryDaysMin: number | null;
  readonly deliveryDaysMax: number | null;
}

/** A zone to be made. */
export interface NewShippingZone {
  readonly id?: ShippingZoneId;
  readonly name: string;
  readonly areas: readonly Area[];
}

/** A method to be made. */
export interface NewShippingMethod {
  readonly id?: ShippingMethodId;
  readonly name: string;
  readonly description?: string;
  readonly status?: "active" | "disabled";
  readonly taxCategory?: string | null;
  readonly position?: number;
  readonly deliveryDaysMin?: number | null;
  readonly deliveryDaysMax?: number | null;
  readonly rates: readonly ShippingRate[];
}

/** What may be set on a zone; absent leaves it. */
export type ShippingZonePatch = Partial<Omit<NewShippingZone, "id">>;
/** What may be set on a method; absent leaves it; rates are replaced as a whole. */
export type ShippingMethodPatch = Partial<Omit<NewShippingMethod, "id">>;

/** Most zones of a tenant. */
export const shippingZonesMax = 200;
/** Most methods of a tenant. */
export const shippingMethodsMax = 200;

export type ShippingFailure =
  | { readonly code: "shipping.zone_not_found"; readonly zoneId: string }
  | { readonly code: "shipping.method_not_found"; readonly methodId: string }
  | { readonly code: "shipping.zone_in_use"; readonly zoneId: string }
  | { readonly code: "shipping.id_taken"; readonly id: string }
  | { readonly code: "shipping.stale"; readonly version: number }
  | { readonly code: "shipping.invalid"; readonly field: string; readonly reason: string };

/** HTTP status of each refusal. */
export const shippingFailureStatuses: FailureStatuses<ShippingFailure> = {
  "shipping.zone_not_found": 404,
  "shipping.method_not_found": 404,
  "shipping.zone_in_use": 409,
  "shipping.id_taken": 409,
  "shipping.stale": 412,
  "shipping.invalid": 422,
};

/** Data of each event type, all version 1. Streams: `shipping_zone:<id>`, `shipping_method:<id>`. */
export interface ShippingEvents {
  readonly "shipping.zone_saved": ShippingZoneEventData;
  readonly "shipping.zone_deleted": ShippingZoneEventData;
  readonly "shipping.method_saved": ShippingMethodEventData;
  readonly "shipping.method_deleted": ShippingMethodEventData;
}

/** What the events of a zone carry. */
export interface ShippingZoneEventData {
  readonly zoneId: ShippingZoneId;
  readonly name: string;
  readonly version: number;
}

/** What the events of a method carry. */
export interface ShippingMethodEventData {
  readonly methodId: ShippingMethodId;
  readonly name: string;
  readonly version: number;
}

/** The event types of this module. */
export const shippingEventTypes: readonly (keyof ShippingEvents)[] = [
  "shipping.zone_saved",
  "shipping.zone_deleted",
  "shipping.method_saved",
  "shipping.method_deleted",
];
