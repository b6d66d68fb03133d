import type { Readable } from "node:stream";
import { Type } from "typebox";
import { fail, ok, type Result } from "../../kernel/result.ts";
import { type Route, type RouteReply, route } from "../../platform/http/route.ts";
import {
  IdOf,
  Moment,
  NullableInteger,
  NullableText,
  PageOf,
  pageFields,
  readPage,
  Uuid,
} from "../../platform/http/shapes.ts";
import type { CatalogImport, ImportFailure } from "./contract.ts";
import type { ImportFormat } from "./import-rows.ts";
import type { Catalog } from "./index.ts";

const tag = "Catalog";
const read = { tag, access: "secret", permission: "catalog:read" } as const;
const write = { tag, access: "secret", permission: "catalog:write" } as const;

const Params = Type.Object({ id: IdOf<"import">() });
const ImportBody = Type.Object({
  id: Uuid,
  format: Type.String(),
  status: Type.String(),
  failure: NullableText,
  rowsDone: Type.Integer(),
  created: Type.Integer(),
  updated: Type.Integer(),
  unchanged: Type.Integer(),
  refused: Type.Integer(),
  bytesDone: Type.Integer(),
  bytesTotal: NullableInteger,
  startedAt: Moment,
  finishedAt: NullableText,
});
const RefusalBody = Type.Object({
  row: Type.Integer(),
  line: Type.Integer(),
  field: Type.String(),
  reason: Type.String(),
  raw: Type.String(),
});
const Format = Type.Union([Type.Literal("csv"), Type.Literal("jsonl")]);
const contentTypes: Readonly<Record<ImportFormat, string>> = {
  csv: "text/csv; charset=utf-8",
  jsonl: "application/x-ndjson; charset=utf-8",
};

/** The HTTP operations of imports and of the export. */
export function importRoutes(catalog: Catalog): readonly Route[] {
  return [
    importRoute(catalog),
    listRoute(catalog),
    getRoute(catalog),
    ...refusalRoutes(catalog),
    exportRoute(catalog),
  ];
}

function importRoute(catalog: Catalog): Route {
  return route({
    ...write,
    method: "POST",
    path: "/v1/catalog/imports",
    operationId: "importProducts",
    summary: "Import products from CSV or JSON lines",
    description:
      "The body is the file, as `text/csv` or `application/x-ndjson`. A row that cannot be used is " +
      "recorded and the others are imported. With an id of your own, sending the same file again " +
      "goes on where an interrupted import stopped. With `progress=true` the answer is a stream of " +
      "JSON lines, one per batch, the last one with the status `finished` or with the refusal. With " +
      "`background=true` the file is kept and imported by a job; the answer is 202 and the progress " +
      "is at `/v1/catalog/imports/{id}`. Take one of the two for files that need longer than a " +
      "request may last.",
    bodyBytesMax: 4 * 1024 ** 3,
    rawBody: true,
    idempotency: "none",
    schemas: {
      query: Type.Object({
        id: Type.Optional(IdOf<"import">()),
        progress: Type.Optional(Type.Boolean()),
        background: Type.Optional(Type.Boolean()),
      }),
      response: ImportBody,
    },
    failures: [
      "catalog.import_format",
      "catalog.import_header",
      "catalog.import_differs",
      "catalog.import_busy",
    ],
    async handle({ ctx, query, rawBody, header }) {
      const contentType = header("content-type") ?? "";
      const format = formatOf(contentType);
      if (!format || !rawBody) return fail({ code: "catalog.import_format", contentType });
      const length = Number(header("content-length"));
      const command = {
        ...(query.id === undefined ? {} : { id: query.id }),
        format,
        source: rawBody,
        bytesTotal: Number.isSafeInteger(length) && length > 0 ? length : undefined,
      };
      if (query.background) {
        const kept = await catalog.uploadProducts(ctx, command);
        drain(rawBody);
        return kept.ok ? ok({ ...reply(kept.value), status: 202 }) : kept;
      }
      if (query.progress) {
        const body = reports((onProgress) =>
          catalog.importProducts(ctx, { ...command, onProgress }),
        );
        return ok({ stream: { contentType: contentTypes.jsonl, body } });
      }
      const done = await catalog.importProducts(ctx, command);
      drain(rawBody);
      return done.ok ? ok(reply(done.value)) : done;
    },
  });
}

function listRoute(catalog: Catalog): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/catalog/imports",
    operationId: "listImports",
    summary: "List imports, newest first",
    schemas: { query: Type.Object(pageFields), response: PageOf(ImportBody) },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query }) {
      const page = await readPage(
        { ctx, list: "imports by id desc", ...query },
        {
          read: (after, limit) =>
            catalog.listImports(ctx.tenantId, { after: after?.[0] as string | undefined, limit }),
          positionOf: ({ id }) => [id],
        },
      );
      if (!page.ok) return page;
      return ok({ body: { ...page.value, items: page.value.items.map(importBody) } });
    },
  });
}

function getRoute(catalog: Catalog): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/catalog/imports/{id}",
    operationId: "getImport",
    summary: "Show how far an import has come",
    schemas: { params: Params, response: ImportBody },
    failures: ["catalog.import_not_found"],
    async handle({ ctx, params }) {
      const found = await catalog.findImport(ctx.tenantId, params.id);
      if (!found) return fail({ code: "catalog.import_not_found", importId: params.id });
      return ok(reply(found));
    },
  });
}

function refusalRoutes(catalog: Catalog): readonly Route[] {
  return [
    route({
      ...read,
      method: "GET",
      path: "/v1/catalog/imports/{id}/refusals",
      operationId: "listImportRefusals",
      summary: "List the rows an import could not use, and why",
      schemas: {
        params: Params,
        query: Type.Object(pageFields),
        response: PageOf(RefusalBody),
      },
      failures: ["catalog.import_not_found", "request.bad_cursor"],
      async handle({ ctx, params, query }) {
        const found = await catalog.findImport(ctx.tenantId, params.id);
        if (!found) return fail({ code: "catalog.import_not_found", importId: params.id });
        const page = await readPage(
          { ctx, list: "import refusals", filter: { import: params.id }, ...query },
          {
            read: (after, limit) =>
              catalog.listRefusals(ctx.tenantId, params.id, {
                after: Number(after?.[0] ?? 0),
                limit,
              }),
            positionOf: ({ row }) => [row],
          },
        );
        return page.ok ? ok({ body: page.value }) : page;
      },
    }),
    route({
      ...read,
      method: "GET",
      path: "/v1/catalog/imports/{id}/refusals.csv",
      operationId: "exportImportRefusals",
      isExport: true,
      summary: "Write the rows an import could not use as CSV",
      schemas: { params: Params },
      failures: ["catalog.import_not_found"],
      async handle({ ctx, params }) {
        const found = await catalog.findImport(ctx.tenantId, params.id);
        if (!found) return fail({ code: "catalog.import_not_found", importId: params.id });
        const body = catalog.exportRefusals(ctx.tenantId, params.id);
        return ok({ stream: { contentType: contentTypes.csv, body } });
      },
    }),
  ];
}

function exportRoute(catalog: Catalog): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/catalog/export",
    operationId: "exportProducts",
    isExport: true,
    summary: "Write all products as an import reads them",
    schemas: { query: Type.Object({ format: Type.Optional(Format) }) },
    async handle({ ctx, query }) {
      const format = query.format ?? "jsonl";
      const body = catalog.exportProducts(ctx.tenantId, format);
      return ok({ stream: { contentType: contentTypes[format], body } });
    },
  });
}

function formatOf(contentType: string): ImportFormat | undefined {
  const [type = ""] = contentType.toLowerCase().split(";");
  if (type.trim() === "text/csv") return "csv";
  return /^application\/(x-ndjson|jsonl|x-jsonlines)$/.test(type.trim()) ? "jsonl" : undefined;
}

/** Streams the progress of an import, one JSON line per batch and one for its outcome. */
async function* reports(
  start: (
    onProgress: (progress: CatalogImport) => void,
  ) => Promise<Result<CatalogImport, ImportFailure>>,
): AsyncGenerator<string> {
  // Only the newest progress counts: a slow reader skips what came between.
  let latest: CatalogImport | undefined;
  let wake = () => {};
  let woken = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const outcome = start((progress) => {
    latest = progress;
    wake();
  });
  const ended = outcome.then(
    () => true,
    () => true,
  );
  for (;;) {
    const isOver = await Promise.race([woken.then(() => false), ended]);
    if (isOver) break;
    woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    if (latest) yield `${JSON.stringify(importBody(latest))}\n`;
  }
  const done = await outcome;
  yield `${JSON.stringify(done.ok ? importBody(done.value) : { failure: done.failure })}\n`;
}

/** What is left of a refused file is not kept waiting in the socket. */
function drain(source: Readable): void {
  if (!source.destroyed) source.resume();
}

function reply(progress: CatalogImport): RouteReply {
  return { body: importBody(progress) };
}

function importBody(progress: CatalogImport) {
  return {
    id: progress.id,
    format: progress.format,
    status: progress.status,
    failure: progress.failure,
    rowsDone: progress.rowsDone,
    created: progress.created,
    updated: progress.updated,
    unchanged: progress.unchanged,
    refused: progress.refused,
    bytesDone: progress.bytesDone,
    bytesTotal: progress.bytesTotal,
    startedAt: progress.startedAt.toISOString(),
    finishedAt: progress.finishedAt?.toISOString() ?? null,
  };
}
