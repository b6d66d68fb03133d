import { createRequire } from "node:module";
import path from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Health } from "./health.ts";
import type { Metrics } from "./metrics.ts";
import type { OpenApiDocument } from "./openapi.ts";
import type { Authenticate } from "./principal.ts";
import { problemError } from "./problem.ts";
import { readBearer } from "./request-headers.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Answered however busy the server is. */
    exempt?: boolean;
  }
}

/** What the pages show. */
export interface OperationsPages {
  readonly health: Health;
  readonly metrics: Metrics;
  readonly document: OpenApiDocument;
  readonly authenticate: Authenticate;
  /** In development anybody may read the figures. */
  readonly development?: boolean;
}

/** Adds health, figures, the API description and its reference. */
export async function addOperationsPages(
  app: FastifyInstance,
  pages: OperationsPages,
): Promise<void> {
  const { health, metrics } = pages;
  const exempt = { config: { exempt: true } };
  app.get("/health/live", exempt, async () => ({ status: "alive" }));
  app.get("/health/started", exempt, async (_request, reply) =>
    reply.code(health.started() ? 200 : 503).send({ started: health.started() }),
  );
  app.get("/health/ready", exempt, async (_request, reply) => {
    const report = await health.readiness();
    if (!report.ready) reply.header("retry-after", "1");
    return reply.code(report.ready ? 200 : 503).send(report);
  });
  app.get("/metrics", exempt, async (request, reply) => {
    if (!pages.development) await checkReader(request, pages.authenticate);
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  const json = JSON.stringify(pages.document);
  app.get("/openapi.json", async (_request, reply) =>
    reply.header("cache-control", "no-cache").type("application/json; charset=utf-8").send(json),
  );
  await addReference(app);
}

/** The figures tell much about a business: they are for this machine and for the operator. */
async function checkReader(request: FastifyRequest, authenticate: Authenticate): Promise<void> {
  if (/^(::ffff:)?127\.|^::1$/.test(request.ip)) return;
  const token = readBearer(request.headers);
  const known = token === undefined ? undefined : await authenticate({ token });
  if (known?.ok && known.value.kind === "operator") return;
  throw problemError("auth.required", {}, { "www-authenticate": "Bearer" });
}

/** Swagger UI from the installed package: it works without the internet. */
async function addReference(app: FastifyInstance): Promise<void> {
  const installed = createRequire(import.meta.url).resolve("@fastify/swagger-ui/package.json");
  app.get("/docs", async (_request, reply) =>
    reply
      .header("content-security-policy", referencePolicy)
      .type("text/html; charset=utf-8")
      .send(referencePage),
  );
  app.get("/docs/start.js", async (_request, reply) =>
    reply.type("text/javascript; charset=utf-8").send(referenceScript),
  );
  await app.register(fastifyStatic, {
    root: path.join(path.dirname(installed), "static"),
    prefix: "/docs/ui/",
    index: false,
    decorateReply: false,
    cacheControl: true,
    maxAge: "1d",
  });
}

/** Swagger UI sets styles on elements and shows its pictures from data URLs. */
const referencePolicy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

const referencePage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API reference</title>
<link rel="stylesheet" href="/docs/ui/swagger-ui.css">
<link rel="icon" href="/docs/ui/favicon-32x32.png">
</head>
<body>
<div id="reference"></div>
<script src="/docs/ui/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const referenceScript = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: true,
  validatorUrl: null,
});
`;
