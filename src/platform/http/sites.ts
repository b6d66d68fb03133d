import { existsSync } from "node:fs";
import path from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { problemError } from "./problem.ts";

/** Where the built pages are. */
export interface SitesConfig {
  /** Folder of the built console and shop, with `index.html` and `shop.html`. */
  readonly dist: string;
  /** Origins beside our own that pages may call: vaults that take card numbers. */
  readonly connectOrigins?: readonly string[];
}

/** Scripts, styles and calls come from here alone; drawn pictures may be data URLs. */
function pagePolicyFor(connectOrigins: readonly string[]): string {
  return (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; " +
    `connect-src ${["'self'", ...connectOrigins].join(" ")}; ` +
    "object-src 'none'; base-uri 'self'; frame-ancestors 'none'"
  );
}

/**
 * Serves the console under `/console` and each brand's shop under `/shop/<name>`. Paths of their
 * own routers get the page; files have their hash in their name and may be kept for ever.
 */
export async function addSites(
  app: FastifyInstance,
  { dist, connectOrigins = [] }: SitesConfig,
): Promise<void> {
  const pagePolicy = pagePolicyFor(connectOrigins);
  await app.register(fastifyStatic, {
    root: dist,
    serve: false,
    index: false,
    // Looked for at each request, so that a build made while we run is found.
    decorateReply: true,
  });
  const page = (file: string) => async (_request: FastifyRequest, reply: FastifyReply) => {
    reply.header("content-security-policy", pagePolicy).header("cache-control", "no-cache");
    if (existsSync(path.join(dist, file))) return reply.sendFile(file, { cacheControl: false });
    return reply.code(503).type("text/html; charset=utf-8").send(missingPage);
  };
  const asset = async (request: FastifyRequest, reply: FastifyReply) => {
    const name = (request.params as { "*": string })["*"];
    if (!existsSync(path.join(dist, "assets", name))) throw problemError("request.not_found");
    reply.header("cache-control", "public, max-age=31536000, immutable");
    return reply.sendFile(`assets/${name}`, { cacheControl: false });
  };
  app.get("/console/assets/*", asset);
  app.get("/shop/assets/*", asset);
  for (const url of ["/console", "/console/", "/console/*"]) app.get(url, page("index.html"));
  for (const url of ["/shop/:name", "/shop/:name/*"]) app.get(url, page("shop.html"));
  app.get("/", async (_request, reply) => reply.redirect("/console", 302));
}

const missingPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Not built yet</title></head>
<body><h1>This page is not built yet</h1>
<p>Run <code>npm run build --workspace console</code> and reload. The API works without it:
see <a href="/docs">the reference</a>.</p></body></html>
`;
