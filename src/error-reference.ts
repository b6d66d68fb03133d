import { existsSync, readdirSync } from "node:fs";
import { platformProblems } from "./platform/http/problem.ts";
import { idempotencyFailureStatuses } from "./platform/idempotency/contract.ts";

/** Statuses of the failures of one owner. */
export interface ErrorSection {
  /** Owner: `platform/http`, `modules/orders`. */
  readonly owner: string;
  readonly statuses: Readonly<Record<string, number>>;
}

/**
 * Every failure code of the product with its HTTP status, by owner. The modules' tables are found
 * in their contracts: whatever is exported as `…FailureStatuses`.
 */
export async function errorSections(): Promise<readonly ErrorSection[]> {
  const platform = Object.fromEntries(
    Object.entries(platformProblems).map(([code, [status]]) => [code, status]),
  );
  const sections: ErrorSection[] = [
    { owner: "platform/http", statuses: platform },
    { owner: "platform/idempotency", statuses: idempotencyFailureStatuses },
  ];
  for (const layer of ["modules", "processes"]) {
    const folder = new URL(`./${layer}/`, import.meta.url);
    for (const name of readdirSync(folder).toSorted()) {
      const statuses = await statusesIn(new URL(`${name}/contract.ts`, folder));
      if (statuses) sections.push({ owner: `${layer}/${name}`, statuses });
    }
  }
  return sections;
}

async function statusesIn(file: URL): Promise<Readonly<Record<string, number>> | undefined> {
  if (!existsSync(file)) return undefined;
  const contract: Record<string, unknown> = await import(file.href);
  const tables = Object.entries(contract).filter(([name]) => name.endsWith("FailureStatuses"));
  return tables.length === 0 ? undefined : Object.assign({}, ...tables.map(([, table]) => table));
}

const titles: Readonly<Record<string, readonly [number, string]>> = platformProblems;

/** The reference of all errors: docs/reference/errors.md is this text. */
export function errorReference(sections: readonly ErrorSection[]): string {
  const tables = sections.flatMap(({ owner, statuses }) => [
    `## ${owner}`,
    "",
    "| Code | Status | Meaning |",
    "|---|---|---|",
    ...Object.entries(statuses).map(
      ([code, status]) => `| \`${code}\` | ${status} | ${meaning(code)} |`,
    ),
    "",
  ]);
  return [...preface, ...tables].join("\n");
}

function meaning(code: string): string {
  const known = titles[code];
  if (known) return known[1];
  const words = code.slice(code.indexOf(".") + 1).replaceAll("_", " ");
  return (words[0] ?? "").toUpperCase() + words.slice(1);
}

const preface = [
  "# Errors",
  "",
  "Every answer that is not a success is a problem document (RFC 9457, `application/problem+json`). Its `code` is",
  "stable and stands below; its `type` is `urn:brandos:problem:<code>`. `errors` names the parts of the request that",
  "are wrong, by JSON pointer or parameter. 429 and 503 carry `Retry-After`.",
  "",
  "A request with an `Idempotency-Key` may be sent again after any 5xx, after 409 `idempotency.in_flight`, and after",
  "no answer at all: it takes effect once. `node tools/write-references.ts` writes this file; a test compares it.",
  "",
];
