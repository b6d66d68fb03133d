import { isCountryCode } from "./country.ts";

/** Where goods go, as far as rates depend on it. */
export interface Destination {
  /** ISO 3166-1 alpha-2, upper case. */
  readonly countryCode: string;
  /** State, province or county, as the area spells it; compared without case. */
  readonly region?: string | null | undefined;
  /** Compared without case, spaces and dashes. */
  readonly postalCode?: string | null | undefined;
}

/** A part of the world: a country, narrowed to regions or to prefixes of postal codes, or `*`. */
export interface Area {
  /** ISO 3166-1 alpha-2, or `*` for every country that no other area covers. */
  readonly country: string;
  /** Absent or empty: the whole country. */
  readonly regions?: readonly string[];
  /** Absent or empty: all postal codes. */
  readonly postalPrefixes?: readonly string[];
}

/**
 * How closely an area covers a destination.
 *
 * @returns 0 not at all; 1 rest of the world; 2 country; 3 region; 4 and more a postal prefix, the
 *   longer the closer. Regions and prefixes given together must both hold.
 */
export function areaMatch(area: Area, destination: Destination): number {
  if (area.country !== "*" && area.country !== destination.countryCode) return 0;
  const regions = area.regions ?? [];
  const prefixes = area.postalPrefixes ?? [];
  const region = foldRegion(destination.region ?? "");
  if (regions.length > 0 && !regions.some((each) => foldRegion(each) === region)) return 0;
  const postal = foldPostalCode(destination.postalCode ?? "");
  const lengths = prefixes
    .map(foldPostalCode)
    .filter((prefix) => prefix.length > 0 && postal.startsWith(prefix))
    .map((prefix) => prefix.length);
  if (prefixes.length > 0) return lengths.length === 0 ? 0 : 3 + Math.max(...lengths);
  if (regions.length > 0) return 3;
  return area.country === "*" ? 1 : 2;
}

/**
 * Chooses the candidate whose areas cover a destination most closely; ties go to the earlier one.
 *
 * @returns undefined when none covers it
 */
export function closestByArea<Candidate extends { readonly areas: readonly Area[] }>(
  candidates: readonly Candidate[],
  destination: Destination,
): Candidate | undefined {
  let best: Candidate | undefined;
  let bestMatch = 0;
  for (const candidate of candidates) {
    const match = Math.max(0, ...candidate.areas.map((area) => areaMatch(area, destination)));
    if (match > bestMatch) [best, bestMatch] = [candidate, match];
  }
  return best;
}

/** What is wrong with a list of areas. @returns undefined when nothing is */
export function findAreaProblem(areas: readonly Area[]): string | undefined {
  if (areas.length === 0) return "needs at least one area";
  const unknown = areas.find(({ country }) => country !== "*" && !isCountryCode(country));
  if (unknown) return `"${unknown.country}" is not an ISO 3166 country code, nor *`;
  const blank = areas.some(({ postalPrefixes = [] }) =>
    postalPrefixes.some((prefix) => foldPostalCode(prefix) === ""),
  );
  return blank ? "a postal prefix is blank" : undefined;
}

function foldRegion(text: string): string {
  return text.trim().toLowerCase();
}

function foldPostalCode(text: string): string {
  return text.toUpperCase().replace(/[\s-]/g, "");
}
