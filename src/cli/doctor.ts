import { examine, type Finding } from "../processes/doctor/doctor.ts";
import { findTenant, inSession, type Output, type Session } from "./program.ts";

/** What the doctor found at one brand. */
export interface Examination {
  readonly tenant: string;
  readonly findings: readonly Finding[];
}

/** Examines one brand or all of them. */
export async function examineTenants(
  session: Session,
  name: string | undefined,
): Promise<readonly Examination[]> {
  const tenants = name ? [await findTenant(session, name)] : await allTenants(session);
  const examinations: Examination[] = [];
  for (const { id, slug } of tenants) {
    examinations.push({ tenant: slug, findings: await examine(session.app.db, id) });
  }
  return examinations;
}

async function allTenants({ app }: Session) {
  const tenants = [];
  let cursor: string | undefined;
  do {
    const page = await app.tenants.list(cursor, 100);
    tenants.push(...page.items.filter(({ status }) => status === "active"));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return tenants;
}

/** `brandos doctor [--tenant T]`: exit code 1 when a promise is broken. */
export async function doctorCommand(
  output: Output,
  options: { readonly tenant?: string },
): Promise<number> {
  const examinations = await inSession(output, (session) =>
    examineTenants(session, options.tenant),
  );
  const broken = examinations.flatMap(({ findings }) => findings.filter(({ holds }) => !holds));
  output.answer({ healthy: broken.length === 0, examinations }, () => tell(examinations));
  return broken.length === 0 ? 0 : 1;
}

/** Writes examinations for people: a line per promise, and the rows that break it. */
export function tell(examinations: readonly Examination[]): string {
  return examinations
    .flatMap(({ tenant, findings }) => [
      `${tenant}`,
      ...findings.flatMap(({ id, holds, violations, elapsedMs }) => [
        `  ${holds ? "ok    " : "BROKEN"}  ${id}  (${elapsedMs} ms)`,
        ...violations.slice(0, 5).map((row) => `          ${JSON.stringify(row)}`),
      ]),
    ])
    .join("\n");
}
