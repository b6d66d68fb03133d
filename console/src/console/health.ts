/** What `/health/ready` answers. */
export interface Health {
  readonly ready: boolean;
  readonly state: string;
  readonly checkedAt: string;
  readonly dependencies: readonly {
    readonly name: string;
    readonly ok: boolean;
    /** Whether the node is not ready without it. */
    readonly required: boolean;
    readonly latencyMs: number;
    readonly reason?: string;
  }[];
}

/** Asks the node for its health; 503 is an answer too. */
export async function readHealth(): Promise<Health> {
  const response = await fetch("/health/ready");
  return (await response.json()) as Health;
}

/** One sample of a Prometheus exposition. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Reads the node's figures.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export async function readMetrics(): Promise<readonly Sample[]> {
  const response = await fetch("/metrics");
  if (!response.ok) throw new Error(`the figures are not open here (${response.status})`);
  return parseMetrics(await response.text());
}

/** Parses a Prometheus exposition; comments are left out. */
export function parseMetrics(text: string): readonly Sample[] {
  return text.split("\n").flatMap((line) => {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match) return [];
    const labels: Record<string, string> = {};
    for (const [, name = "", value = ""] of (match[2] ?? "").matchAll(
      /(\w+)="((?:[^"\\]|\\.)*)"/g,
    )) {
      labels[name] = value.replace(/\\(.)/g, (_, mark: string) => (mark === "n" ? "\n" : mark));
    }
    return [{ name: match[1] ?? "", labels, value: Number(match[3]) }];
  });
}
