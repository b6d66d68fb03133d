import type { DemoKeys } from "./demo/seed.ts";

/** What a person is told once everything runs. */
export interface Banner {
  /** Absent when this process does not listen. */
  readonly url: string | undefined;
  readonly home: string;
  readonly database: string;
  readonly demo: readonly DemoKeys[];
  readonly operatorFile: string;
}

/** Where to look, and with which keys. */
export function banner({ url, home, database, demo, operatorFile }: Banner): string {
  const lines = ["", "BrandOS is running.", ""];
  if (url) {
    const [first] = demo;
    const key = first ? `#key=${first.secretKey}` : "";
    lines.push(
      `  Console        ${url}/console${key}`,
      ...demo.map(({ slug }) => `  Shop           ${url}/shop/${slug}`),
      `  API reference  ${url}/docs   from ${url}/openapi.json`,
      `  Metrics        ${url}/metrics`,
      `  Health         ${url}/health/live   ${url}/health/ready`,
      "",
    );
  }
  if (demo.length > 0) {
    lines.push("  Demo keys (secret for the console and the API, publishable for shops)");
    for (const { name, secretKey, publishableKey } of demo) {
      lines.push(`    ${name.padEnd(12)} ${secretKey}   ${publishableKey}`);
    }
    lines.push("");
  }
  lines.push(
    `  Operator's key in ${operatorFile}`,
    `  Database: ${database}`,
    "  Another one: set DATABASE_URL=postgres://owner:password@host:5432/name",
    `  PORT and BRANDOS_HOME (now ${home}) move it. Ctrl-C stops it.`,
    "",
  );
  return lines.join("\n");
}
