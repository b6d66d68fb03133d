import { findAreaProblem } from "../../kernel/area.ts";
import { findUnstorableText } from "../../kernel/text.ts";
import type {
  ShippingBracket,
  ShippingFailure,
  ShippingMethod,
  ShippingRate,
  ShippingZone,
} from "./contract.ts";

type Invalid = Extract<ShippingFailure, { readonly code: "shipping.invalid" }>;

const amountMinorMax = 1_000_000_000_000;

/** Checks a zone. @returns the first problem */
export function findZoneProblem(zone: ShippingZone): Invalid | undefined {
  const problem = findAreaProblem(zone.areas);
  if (problem) return invalid("areas", problem);
  return findNameProblem(zone);
}

/** Checks a method with its rates. @returns the first problem */
export function findMethodProblem(method: ShippingMethod): Invalid | undefined {
  const { description, deliveryDaysMin, deliveryDaysMax, rates } = method;
  if (description.length > 2_000) return invalid("description", "has more than 2,000 characters");
  if ((deliveryDaysMin ?? 0) > (deliveryDaysMax ?? Number.POSITIVE_INFINITY)) {
    return invalid("deliveryDaysMax", "must not be below deliveryDaysMin");
  }
  if (deliveryDaysMin === null && deliveryDaysMax !== null) {
    return invalid("deliveryDaysMin", "is needed beside deliveryDaysMax");
  }
  const keys = rates.map(({ zoneId, currency }) => `${zoneId} ${currency}`);
  if (new Set(keys).size < keys.length) {
    return invalid("rates", "names one zone and currency twice");
  }
  for (const [index, rate] of rates.entries()) {
    const problem = findRateProblem(rate, `rates.${index}`);
    if (problem) return problem;
  }
  return findNameProblem(method);
}

function findRateProblem(rate: ShippingRate, at: string): Invalid | undefined {
  const { currency, price, freeAboveMinor } = rate;
  if (!/^[A-Z]{3}$/.test(currency)) return invalid(`${at}.currency`, "must be an ISO 4217 code");
  if (freeAboveMinor !== null && !isAmount(freeAboveMinor)) {
    return invalid(`${at}.freeAboveMinor`, "must be minor units, 0 or more");
  }
  if (price.kind !== "flat") return findBracketsProblem(price.brackets, `${at}.price.brackets`);
  if (isAmount(price.amountMinor)) return undefined;
  return invalid(`${at}.price.amountMinor`, "must be minor units, 0 or more");
}

function findBracketsProblem(
  brackets: readonly ShippingBracket[],
  at: string,
): Invalid | undefined {
  if (brackets.length === 0 || brackets.length > 100) return invalid(at, "must be 1 to 100 steps");
  let bound = -1;
  for (const [index, { upTo, amountMinor }] of brackets.entries()) {
    if (!isAmount(amountMinor)) {
      return invalid(`${at}.${index}.amountMinor`, "must be minor units, 0 or more");
    }
    if (upTo === null && index < brackets.length - 1) {
      return invalid(`${at}.${index}.upTo`, "may be null in the last step only");
    }
    if (upTo !== null && !(isAmount(upTo) && upTo > bound)) {
      return invalid(`${at}.${index}.upTo`, "must be whole and ascend");
    }
    bound = upTo ?? bound;
  }
  return undefined;
}

function findNameProblem(named: ShippingZone | ShippingMethod): Invalid | undefined {
  const bad = findUnstorableText(named);
  if (bad) return invalid(bad, "contains a NUL or half a surrogate pair");
  const { name } = named;
  if (name.trim() !== "" && name.length <= 200) return undefined;
  return invalid("name", "must be a text of 1 to 200 characters");
}

function isAmount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= amountMinorMax;
}

function invalid(field: string, reason: string): Invalid {
  return { code: "shipping.invalid", field, reason };
}
