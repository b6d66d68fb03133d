import { Type } from "typebox";
import { fail, ok } from "../../kernel/result.ts";
import type { OrderId } from "../../modules/orders/contract.ts";
import { type Route, type RouteReply, route } from "../../platform/http/route.ts";
import type { JobId, JobState } from "../../platform/jobs/jobs.ts";
import type { SagaId, SagaStatus } from "../../platform/sagas/sagas.ts";
import type { Operations } from "./index.ts";
import { liveEvents, tailPage } from "./tail.ts";

const Uuid = Type.String({ format: "uuid" });
const ById = Type.Object({ id: Uuid });
const Anything = Type.Unknown();
const Limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 }));
const Cursor = Type.Optional(Type.String({ maxLength: 200 }));
const Items = Type.Object({
  items: Type.Array(Anything),
  nextCursor: Type.Optional(Type.String()),
});

const reading = { access: "secret", permission: "operations:read" } as const;
const changing = { access: "secret", permission: "operations:write" } as const;

function body(value: unknown): { readonly ok: true; readonly value: RouteReply } {
  return ok({ body: value });
}

/** The HTTP operations of those who run a brand: stories, events, sagas, jobs. */
export function operationsRoutes(operations: Operations): readonly Route[] {
  return [
    ...storyRoutes(operations),
    ...eventRoutes(operations),
    ...sagaRoutes(operations),
    ...jobRoutes(operations),
    ...deadLetterRoutes(operations),
    ...subscriptionRoutes(operations),
  ];
}

function storyRoutes(operations: Operations): readonly Route[] {
  return [
    route({
      ...reading,
      method: "GET",
      path: "/v1/overview",
      operationId: "getOverview",
      summary: "Today's figures of the brand",
      tag: "Operations",
      schemas: { response: Anything },
      handle: async ({ ctx }) => body(await operations.overview(ctx)),
    }),
    route({
      ...reading,
      method: "GET",
      path: "/v1/orders/{id}/timeline",
      operationId: "getOrderTimeline",
      summary: "The whole story of an order",
      description:
        "Requests, transactions, events, saga steps, payments, ledger entries and jobs, oldest first.",
      tag: "Orders",
      schemas: { params: ById, response: Items },
      failures: ["operations.order_not_found"],
      async handle({ ctx, params }) {
        const told = await operations.timeline(ctx, params.id as OrderId);
        return told.ok ? body({ items: told.value }) : told;
      },
    }),
  ];
}

function eventRoutes(operations: Operations): readonly Route[] {
  return [
    route({
      ...reading,
      method: "GET",
      path: "/v1/events",
      operationId: "listEvents",
      summary: "Events of the brand after a cursor, in the order of the log",
      description:
        "Without a cursor: from now on. `nextCursor` is always given: ask again with it.",
      tag: "Operations",
      schemas: {
        query: Type.Object({
          cursor: Cursor,
          type: Type.Optional(Type.String({ maxLength: 100 })),
          limit: Limit,
        }),
        response: Items,
      },
      failures: ["operations.bad_cursor"],
      handle: async ({ ctx, query }) => {
        const page = await tailPage(operations.db, ctx, query);
        return page.ok ? body(page.value) : page;
      },
    }),
    route({
      ...reading,
      method: "GET",
      path: "/v1/events/stream",
      operationId: "streamEvents",
      summary: "Events of the brand as they happen",
      description: "Server-sent events; a reconnect with `Last-Event-ID` misses none.",
      tag: "Operations",
      schemas: { query: Type.Object({ type: Type.Optional(Type.String({ maxLength: 100 })) }) },
      handle: async ({ ctx, query, header }) =>
        ok(
          operations.streams.open(
            { signal: ctx.signal, lastEventId: header("last-event-id") },
            liveEvents(operations.db, ctx, query.type),
          ),
        ),
    }),
  ];
}

const sagaStatuses = ["running", "compensating", "completed", "compensated", "stuck"] as const;

function sagaRoutes(operations: Operations): readonly Route[] {
  return [
    route({
      ...reading,
      method: "GET",
      path: "/v1/sagas",
      operationId: "listSagas",
      summary: "List the runs of sagas, newest first",
      tag: "Operations",
      schemas: {
        query: Type.Object({
          status: Type.Optional(Type.Union(sagaStatuses.map((status) => Type.Literal(status)))),
          name: Type.Optional(Type.String({ maxLength: 100 })),
          cursor: Type.Optional(Type.String({ format: "uuid" })),
          limit: Limit,
        }),
        response: Items,
      },
      handle: async ({ ctx, query }) =>
        body(
          await operations.sagas.list(ctx.tenantId, {
            limit: query.limit ?? 20,
            ...(query.status ? { status: query.status as SagaStatus } : {}),
            ...(query.name ? { name: query.name } : {}),
            ...(query.cursor ? { before: query.cursor } : {}),
          }),
        ),
    }),
    route({
      ...reading,
      method: "GET",
      path: "/v1/sagas/{id}",
      operationId: "getSaga",
      summary: "One run of a saga with its steps",
      tag: "Operations",
      schemas: { params: ById, response: Anything },
      failures: ["operations.saga_not_found"],
      async handle({ ctx, params }) {
        const run = await operations.sagas.find(ctx.tenantId, params.id as SagaId);
        return run ? body(run) : fail({ code: "operations.saga_not_found", sagaId: params.id });
      },
    }),
    route({
      ...changing,
      method: "POST",
      path: "/v1/sagas/{id}/retry",
      operationId: "retrySaga",
      summary: "Take a stuck run up again",
      tag: "Operations",
      idempotency: "none",
      schemas: { params: ById },
      failures: ["sagas.not_stuck"],
      async handle({ ctx, params }) {
        const retried = await operations.sagas.retry(ctx.tenantId, params.id as SagaId);
        return retried.ok ? ok({ status: 204 }) : retried;
      },
    }),
  ];
}

const jobStates = ["ready", "scheduled", "running", "dead", "done"] as const;

function jobRoutes(operations: Operations): readonly Route[] {
  const { jobs } = operations;
  return [
    route({
      ...reading,
      method: "GET",
      path: "/v1/jobs",
      operationId: "listJobs",
      summary: "List the brand's jobs of one state",
      tag: "Operations",
      schemas: {
        query: Type.Object({
          state: Type.Union(jobStates.map((state) => Type.Literal(state))),
          limit: Limit,
        }),
        response: Items,
      },
      handle: async ({ ctx, query }) =>
        body(await jobs.list(ctx, query.state as JobState, query.limit ?? 20)),
    }),
    route({
      ...reading,
      method: "GET",
      path: "/v1/jobs/queues",
      operationId: "listQueues",
      summary: "Depth and age of the queues",
      tag: "Operations",
      schemas: { response: Items },
      handle: async () => body({ items: await jobs.queues.stats() }),
    }),
    route({
      ...reading,
      method: "GET",
      path: "/v1/jobs/{id}",
      operationId: "getJob",
      summary: "One job, wherever it stands",
      tag: "Operations",
      schemas: { params: ById, response: Anything },
      failures: ["operations.job_not_found"],
      async handle({ ctx, params }) {
        const job = await jobs.find(ctx, params.id as JobId);
        return job ? body(job) : fail({ code: "operations.job_not_found", jobId: params.id });
      },
    }),
    route({
      ...changing,
      method: "POST",
      path: "/v1/jobs/{id}/cancel",
      operationId: "cancelJob",
      summary: "Cancel a job that waits or runs",
      tag: "Operations",
      idempotency: "none",
      schemas: { params: ById },
      failures: ["operations.job_not_found"],
      async handle({ ctx, params }) {
        const outcome = await jobs.cancel(ctx, params.id as JobId);
        if (outcome.ok) return ok({ status: 204 });
        return fail({ code: "operations.job_not_found", jobId: params.id });
      },
    }),
  ];
}

function deadLetterRoutes({ jobs }: Operations): readonly Route[] {
  return [
    route({
      ...reading,
      method: "GET",
      path: "/v1/jobs/dead-letters",
      operationId: "listDeadJobs",
      summary: "List jobs that will not run again by themselves, newest first",
      tag: "Operations",
      schemas: { query: Type.Object({ cursor: Cursor, limit: Limit }), response: Items },
      handle: async ({ ctx, query }) =>
        body(await jobs.deadLetters.list(ctx, query.limit ?? 20, query.cursor)),
    }),
    route({
      ...changing,
      method: "POST",
      path: "/v1/jobs/dead-letters/{id}/retry",
      operationId: "retryDeadJob",
      summary: "Let a dead job run again",
      tag: "Operations",
      idempotency: "none",
      schemas: { params: ById },
      failures: ["operations.job_not_found"],
      async handle({ ctx, params }) {
        const revived = await jobs.deadLetters.replay(ctx, [params.id as JobId]);
        if (revived.length > 0) return ok({ status: 204 });
        return fail({ code: "operations.job_not_found", jobId: params.id });
      },
    }),
    route({
      ...changing,
      method: "POST",
      path: "/v1/jobs/dead-letters/{id}/discard",
      operationId: "discardDeadJob",
      summary: "Forget a dead job",
      tag: "Operations",
      idempotency: "none",
      schemas: { params: ById },
      failures: ["operations.job_not_found"],
      async handle({ ctx, params }) {
        const gone = await jobs.deadLetters.discard(ctx, [params.id as JobId]);
        if (gone > 0) return ok({ status: 204 });
        return fail({ code: "operations.job_not_found", jobId: params.id });
      },
    }),
  ];
}

function subscriptionRoutes({ subscriptions }: Operations): readonly Route[] {
  const Letter = Type.Object({ name: Type.String({ maxLength: 100 }), id: Uuid });
  return [
    route({
      ...reading,
      method: "GET",
      path: "/v1/subscriptions",
      operationId: "listSubscriptions",
      summary: "How far the readers of the event log are",
      tag: "Operations",
      schemas: { response: Items },
      handle: async () => body({ items: await subscriptions.status() }),
    }),
    route({
      ...reading,
      method: "GET",
      path: "/v1/subscriptions/dead-letters",
      operationId: "listDeadEvents",
      summary: "List events that a reader could not handle, oldest first",
      tag: "Operations",
      schemas: { query: Type.Object({ limit: Limit }), response: Items },
      handle: async ({ ctx, query }) =>
        body({
          items: await subscriptions.deadLetters({
            tenantId: ctx.tenantId,
            limit: query.limit ?? 20,
          }),
        }),
    }),
    route({
      ...changing,
      method: "POST",
      path: "/v1/subscriptions/{name}/dead-letters/{id}/replay",
      operationId: "replayDeadEvent",
      summary: "Hand a parked event over again, with all of its stream",
      tag: "Operations",
      idempotency: "none",
      schemas: { params: Letter },
      failures: ["operations.event_not_found"],
      async handle({ ctx, params }) {
        const count = await subscriptions.replayDeadLetters({
          tenantId: ctx.tenantId,
          subscription: params.name,
          eventIds: [params.id],
        });
        if (count > 0) return ok({ status: 204 });
        return fail({ code: "operations.event_not_found", eventId: params.id });
      },
    }),
  ];
}
