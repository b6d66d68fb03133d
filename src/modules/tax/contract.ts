import type { Area, Destination } from "../../kernel/area.ts";
import type { Id } from "../../kernel/ids.ts";
import type { FailureStatuses } from "../../platform/http/route.ts";

export type TaxZoneId = Id<"tax_zone">;
export type TaxRateId = Id<"tax_rate">;

/** A kind of goods with rates of its own: `standard`, `books`, `food`. */
export interface TaxCategory {
  readonly code: string;
  readonly name: string;
}

/** A part of the world with tax rates of its own. */
export interface TaxZone {
  readonly id: TaxZoneId;
  readonly name: string;
  readonly areas: readonly Area[];
  /** Whether prices shown in this zone contain the tax. */
  readonly priceIncludesTax: boolean;
  readonly version: number;
}

/** A tax of a zone. All rates of a category add up; compound ones also tax the taxes before them. */
export interface TaxRate {
  readonly id: TaxRateId;
  readonly zoneId: TaxZoneId;
  /** Null: for every category that has no rate of its own in the zone. */
  readonly category: string | null;
  /** As the receipt calls it: `VAT 20 %`. */
  readonly name: string;
  /** Basis points, 0 to 10,000: 2000 is 20 %. */
  readonly rateBps: number;
  readonly isCompound: boolean;
  readonly appliesToShipping: boolean;
  /** Ascending order of application; matters to compound rates. */
  readonly priority: number;
  readonly version: number;
}

/** All a quote needs, loaded in one round trip. */
export interface TaxTable {
  readonly zones: readonly TaxZone[];
  /** In order of application. */
  readonly rates: readonly TaxRate[];
}

/** An amount to be taxed. */
export interface TaxableLine {
  /** Total of the line after discounts, as priced: with tax where the zone's prices include it. */
  readonly amountMinor: number;
  readonly category: string;
}

/** The shipping fee to be taxed. */
export interface TaxableShipping {
  readonly amountMinor: number;
  readonly category: string | null;
}

/** What is asked of a provider. */
export interface TaxRequest {
  /** ISO 4217. */
  readonly currency: string;
  readonly lines: readonly TaxableLine[];
  /** Null while no shipping is chosen. */
  readonly shipping: TaxableShipping | null;
  /** Null while unknown: no tax is computed. */
  readonly destination: Destination | null;
}

/** One tax in an amount. */
export interface TaxComponent {
  readonly name: string;
  readonly rateBps: number;
  readonly taxMinor: number;
}

/** An amount and its tax: `grossMinor = netMinor + taxMinor`, always. */
export interface TaxedAmount {
  readonly netMinor: number;
  readonly taxMinor: number;
  readonly grossMinor: number;
  /** Their taxes sum to `taxMinor`. */
  readonly components: readonly TaxComponent[];
}

/** What a provider answers. */
export interface TaxQuote {
  /** Null when no zone covers the destination: nothing is taxed. */
  readonly zoneId: TaxZoneId | null;
  readonly priceIncludesTax: boolean;
  /** One per line, in order. */
  readonly lines: readonly TaxedAmount[];
  readonly shipping: TaxedAmount | null;
  /** Sum over lines and shipping. */
  readonly taxMinor: number;
}

/** Computes taxes: the built-in table, or a service outside. */
export interface TaxProvider {
  readonly name: string;
  /** @throws when the service cannot answer; never called inside a transaction if it is remote */
  quote(request: TaxRequest): Promise<TaxQuote>;
}

/** A zone to be made. */
export interface NewTaxZone {
  readonly id?: TaxZoneId;
  readonly name: string;
  readonly areas: readonly Area[];
  readonly priceIncludesTax: boolean;
}

/** A rate to be made. */
export interface NewTaxRate {
  readonly id?: TaxRateId;
  readonly zoneId: TaxZoneId;
  readonly category?: string | null;
  readonly name: string;
  readonly rateBps: number;
  readonly isCompound?: boolean;
  readonly appliesToShipping?: boolean;
  readonly priority?: number;
}

/** What may be set on a zone; absent leaves it. */
export type TaxZonePatch = Partial<Omit<NewTaxZone, "id">>;
/** What may be set on a rate; absent leaves it. */
export type TaxRatePatch = Partial<Omit<NewTaxRate, "id" | "zoneId">>;

/** Most compound rates of one category in one zone. */
export const compoundRatesMax = 2;
/** Most zones of a tenant. */
export const taxZonesMax = 500;
/** Most rates of one category in one zone. */
export const taxRatesPerCategoryMax = 10;

export type TaxFailure =
  | { readonly code: "tax.zone_not_found"; readonly zoneId: string }
  | { readonly code: "tax.rate_not_found"; readonly rateId: string }
  | { readonly code: "tax.category_not_found"; readonly category: string }
  | { readonly code: "tax.category_in_use"; readonly category: string }
  | { readonly code: "tax.id_taken"; readonly id: string }
  | { readonly code: "tax.stale"; readonly version: number }
  | { readonly code: "tax.invalid"; readonly field: string; readonly reason: string };

/** HTTP status of each refusal. */
export const taxFailureStatuses: FailureStatuses<TaxFailure> = {
  "tax.zone_not_found": 404,
  "tax.rate_not_found": 404,
  "tax.category_not_found": 404,
  "tax.category_in_use": 409,
  "tax.id_taken": 409,
  "tax.stale": 412,
  "tax.invalid": 422,
};

/** What the events of a zone carry. */
export interface TaxZoneEventData {
  readonly zoneId: TaxZoneId;
  readonly name: string;
  readonly version: number;
}

/** What the events of a rate carry. */
export interface TaxRateEventData {
  readonly rateId: TaxRateId;
  readonly zoneId: TaxZoneId;
  readonly rateBps: number;
  readonly version: number;
}

/** Data of each event type, all version 1. Streams: `tax_zone:<id>`, `tax_category:<code>`. */
export interface TaxEvents {
  readonly "tax.zone_saved": TaxZoneEventData;
  readonly "tax.zone_deleted": TaxZoneEventData;
  /** Stream of the rate's zone. */
  readonly "tax.rate_saved": TaxRateEventData;
  readonly "tax.rate_deleted": TaxRateEventData;
  readonly "tax.category_saved": { readonly category: string; readonly name: string };
  readonly "tax.category_deleted": { readonly category: string; readonly name: string };
}

/** The event types of this module. */
export const taxEventTypes: readonly (keyof TaxEvents)[] = [
  "tax.zone_saved",
  "tax.zone_deleted",
  "tax.rate_saved",
  "tax.rate_deleted",
  "tax.category_saved",
  "tax.category_deleted",
];
