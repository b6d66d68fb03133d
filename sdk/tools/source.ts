/** As much of an OpenAPI document as is changed here. */
interface Operation {
  readonly responses: Readonly<Record<string, unknown>>;
}

/** An OpenAPI document, as the server serves it at `/openapi.json`. */
export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const problem = {
  description: "A problem",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};

/**
 * Prepares the server's description for types: every error answer is a problem, so one `default`
 * stands for the dozen that each operation documents. It keeps the types a tenth as long.
 */
export function forTypes(document: OpenApiDocument): OpenApiDocument {
  const paths = Object.entries(document.paths).map(([path, operations]) => {
    const shortened = Object.entries(operations).map(([method, operation]) => {
      const successes = Object.entries(operation.responses).filter(([code]) => /^2/.test(code));
      const kept = successes.map(([code, response]) => [code, withoutHeaders(response)]);
      return [
        method,
        { ...operation, responses: { ...Object.fromEntries(kept), default: problem } },
      ];
    });
    return [path, Object.fromEntries(shortened)];
  });
  return { ...document, paths: Object.fromEntries(paths) };
}

function withoutHeaders(response: unknown): unknown {
  const { headers: _, ...rest } = response as Readonly<Record<string, unknown>>;
  return rest;
}
