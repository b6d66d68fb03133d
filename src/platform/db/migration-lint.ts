import { splitSql } from "./split-sql.ts";

/** Something in a migration that a rolling deploy or a large table would not bear. */
export interface MigrationOffence {
  /** Line of the statement in its file, from 1. */
  readonly line: number;
  /** Name of the rule, for `-- brandos: allow <rule>: <reason>`. */
  readonly rule: string;
  /** What to do instead. */
  readonly advice: string;
}

interface Rule {
  readonly name: string;
  readonly advice: string;
  /** Matched against one clause: lower case, single spaces, no comments, no string contents. */
  readonly pattern: RegExp;
  /** What makes a match harmless. */
  readonly unless?: RegExp;
  /** Whether a table made in the same file is exempt: it has no rows and nobody uses it. */
  readonly exemptsNew: boolean;
  /** Whether `-- brandos: contract` above the statement permits it: no released code uses it. */
  readonly contract?: boolean;
}

const expand = "expand, backfill, contract: see docs/guides/migrations.md";

const rules: readonly Rule[] = [
  {
    name: "index",
    pattern: /^create (unique )?index /,
    unless: /^create (unique )?index concurrently /,
    advice: "blocks writes: create the index concurrently, alone in a file without transaction",
    exemptsNew: true,
  },
  {
    name: "not-null-column",
    pattern: /^add (column )?.* not null/,
    unless: / default /,
    advice: `fails on rows that exist: ${expand}`,
    exemptsNew: true,
  },
  {
    name: "volatile-default",
    pattern:
      /^add (column )?.* default .*\b(gen_random_uuid|random|clock_timestamp|nextval|uuid\w*)\(/,
    advice: "rewrites the table: add the column without a default, set the default, backfill",
    exemptsNew: true,
  },
  {
    name: "generated-column",
    pattern: /^add (column )?.* generated always as \(.*\) stored/,
    advice: "rewrites the table: fill a plain column by trigger or by the code, backfill",
    exemptsNew: true,
  },
  {
    name: "set-not-null",
    pattern: /^alter (column )?\S+ set not null/,
    advice: "scans the table under a lock: add a check NOT VALID, validate it, then contract",
    exemptsNew: true,
    contract: true,
  },
  {
    name: "column-type",
    pattern: /^alter (column )?\S+ (set data )?type /,
    advice: `rewrites the table under a lock and breaks code that runs: ${expand}`,
    exemptsNew: true,
  },
  {
    name: "rename",
    pattern: /^rename /,
    advice: `breaks code that still runs: ${expand}`,
    exemptsNew: true,
    contract: true,
  },
  {
    name: "drop-column",
    pattern: /^drop (column|constraint) /,
    advice: "breaks code that still runs: write -- brandos: contract once no release uses it",
    exemptsNew: true,
    contract: true,
  },
  {
    name: "drop",
    pattern: /^drop (table|schema|view|materialized view|type|function|sequence|policy|trigger) /,
    advice: "breaks code that still runs: write -- brandos: contract once no release uses it",
    exemptsNew: false,
    contract: true,
  },
  {
    name: "drop-index",
    pattern: /^drop index /,
    unless: /^drop index concurrently /,
    advice: "blocks reads and writes: drop the index concurrently, in a file without transaction",
    exemptsNew: false,
  },
  {
    name: "constraint",
    pattern: /^add (constraint \S+ )?(foreign key|check)/,
    unless: / not valid$/,
    advice: "scans the table under a lock: add it NOT VALID, validate it in a later file",
    exemptsNew: true,
  },
  {
    name: "unique-constraint",
    pattern: /^add (constraint \S+ )?(unique|primary key|exclude)/,
    unless: / using index /,
    advice: "builds an index under a lock: create it concurrently, then add … using index",
    exemptsNew: true,
  },
  {
    name: "data",
    pattern: /^(update|delete from|merge into) /,
    advice: "locks rows for as long as it takes: use a backfill (platform/db/backfill.ts)",
    exemptsNew: true,
  },
  {
    name: "lock",
    pattern:
      /^(lock|truncate|cluster|vacuum full|refresh materialized view(?! concurrently)|reindex(?!.* concurrently))\b/,
    advice: "locks everybody out",
    exemptsNew: false,
  },
];

const withoutTransaction = /^-- brandos: no transaction/;

/**
 * Reads one migration file and tells what in it is unsafe while others work.
 *
 * `-- brandos: contract` above a statement says that no released code uses what it removes;
 * `-- brandos: allow <rule>: <reason>` above it accepts one rule's risk, with a reason.
 * @param text the whole file
 */
export function lintMigration(text: string): readonly MigrationOffence[] {
  const statements = splitSql(text);
  const created = new Set<string>();
  const offences: MigrationOffence[] = [];
  for (const { code, comments, line } of statements) {
    const made = /^create (?:unlogged )?table (?:if not exists )?([\w."]+)/.exec(code)?.[1];
    if (made) created.add(made);
    for (const { clause, table } of clausesOf(code)) {
      const offence = rules.find((rule) => offends(rule, clause, table, created));
      if (!offence || isAllowed(offence, comments)) continue;
      offences.push({ line, rule: offence.name, advice: offence.advice });
    }
    const concurrently = /^(create|drop|reindex).* concurrently /.test(code);
    const alone = withoutTransaction.test(text) && statements.length === 1;
    if (concurrently && !alone) {
      const advice = "needs a file of its own that begins with -- brandos: no transaction";
      offences.push({ line, rule: "concurrently", advice });
    }
  }
  return offences;
}

function offends(
  rule: Rule,
  clause: string,
  table: string | undefined,
  created: ReadonlySet<string>,
): boolean {
  if (!rule.pattern.test(clause) || rule.unless?.test(clause)) return false;
  return !(rule.exemptsNew && table !== undefined && created.has(table));
}

interface Clause {
  readonly clause: string;
  /** Table it is about, where it can be told. */
  readonly table: string | undefined;
}

const subject = new RegExp(
  '^(?:create (?:unique )?index (?:concurrently )?(?:if not exists )?(?:[\\w"]+ )?on (?:only )?' +
    '|update (?:only )?|delete from (?:only )?|merge into )([\\w."]+)',
);

/** `alter table` does several things, separated by commas; each is judged. */
function clausesOf(code: string): readonly Clause[] {
  const altered = /^alter table (?:if exists )?(?:only )?([\w."]+)\s+(.*)$/.exec(code);
  if (altered) {
    const [, table, actions = ""] = altered;
    return topLevelParts(actions).map((clause) => ({ clause, table }));
  }
  return [{ clause: code, table: subject.exec(code)?.[1] }];
}

function topLevelParts(text: string): readonly string[] {
  const parts: string[] = [""];
  let depth = 0;
  for (const character of text) {
    if (character === "(") depth++;
    if (character === ")") depth--;
    if (character === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts.map((part) => part.trim());
}

function isAllowed(rule: Rule, comments: readonly string[]): boolean {
  return comments.some((comment) => {
    if (rule.contract && /^-- brandos: contract\b/.test(comment)) return true;
    const allowed = /^-- brandos: allow ([\w-]+): \S+/.exec(comment);
    return allowed?.[1] === rule.name;
  });
}
