import { findAreaProblem } from "../../kernel/area.ts";
import { findUnstorableText } from "../../kernel/text.ts";
import {
  compoundRatesMax,
  type TaxCategory,
  type TaxFailure,
  type TaxRate,
  type TaxZone,
  taxRatesPerCategoryMax,
} from "./contract.ts";

type Invalid = Extract<TaxFailure, { readonly code: "tax.invalid" }>;

/** Checks a zone. @returns the first problem */
export function findZoneProblem(zone: TaxZone): Invalid | undefined {
  const problem = findAreaProblem(zone.areas);
  return problem ? invalid("areas", problem) : findNameProblem(zone);
}

/**
 * Checks a rate among the rates of its zone.
 *
 * @param others the zone's rates; the one with the same id does not count
 */
export function findRateProblem(rate: TaxRate, others: readonly TaxRate[]): Invalid | undefined {
  if (!Number.isInteger(rate.rateBps) || rate.rateBps < 0 || rate.rateBps > 10_000) {
    return invalid("rateBps", "must be 0 to 10,000 basis points");
  }
  if (!Number.isInteger(rate.priority) || Math.abs(rate.priority) > 1_000_000) {
    return invalid("priority", "must be a whole number, at most 1,000,000");
  }
  const siblings = others.filter(
    ({ id, category }) => id !== rate.id && category === rate.category,
  );
  if (rate.isCompound && siblings.filter((each) => each.isCompound).length >= compoundRatesMax) {
    return invalid("isCompound", `a category has at most ${compoundRatesMax} compound rates`);
  }
  if (siblings.length >= taxRatesPerCategoryMax) {
    return invalid("category", `a category has at most ${taxRatesPerCategoryMax} rates`);
  }
  return findNameProblem(rate);
}

/** Checks a category. @returns the first problem */
export function findCategoryProblem(category: TaxCategory): Invalid | undefined {
  if (!/^[a-z0-9_.-]{1,60}$/.test(category.code)) {
    return invalid("code", "must be 1 to 60 of a-z, 0-9, _ . -");
  }
  return findNameProblem(category);
}

function findNameProblem(named: { readonly name: string }): Invalid | undefined {
  const bad = findUnstorableText(named);
  if (bad) return invalid(bad, "contains a NUL or half a surrogate pair");
  if (named.name.trim() !== "" && named.name.length <= 200) return undefined;
  return invalid("name", "must be a text of 1 to 200 characters");
}

function invalid(field: string, reason: string): Invalid {
  return { code: "tax.invalid", field, reason };
}
