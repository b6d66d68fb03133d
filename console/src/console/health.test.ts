import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMetrics } from "./health.ts";

test("figures are read with their labels, and comments are left out", () => {
  const text = `# HELP requests Requests.
# TYPE requests counter
requests{route="/v1/orders/:id",note="a \\"b\\" \\\\ c"} 12
up 1
ratio 1.5e-3 1700000000
`;
  assert.deepEqual(parseMetrics(text), [
    { name: "requests", labels: { route: "/v1/orders/:id", note: 'a "b" \\ c' }, value: 12 },
    { name: "up", labels: {}, value: 1 },
    { name: "ratio", labels: {}, value: 0.0015 },
  ]);
});
