import { Type } from "typebox";
import { ok } from "../../kernel/result.ts";
import { type Route, route } from "../../platform/http/route.ts";
import type { ApiKey, ApiKeyId, IssuedApiKey } from "./contract.ts";
import type { Tenants } from "./index.ts";
import { rotationOverlapMaxMs } from "./keys.ts";
import { paged } from "./paging.ts";
import {
  ById,
  IssuedKey,
  Key,
  Moment,
  PageQuery,
  Permission,
  pageSchema,
  Uuid,
} from "./schemas.ts";

const shared = {
  tag: "API keys",
  access: "secret",
  idempotency: "none",
  limits: "strict",
} as const;

/** The operations on a tenant's API keys. */
export function keyRoutes(tenants: Tenants): Route[] {
  return [...keyListRoutes(tenants), ...keyChangeRoutes(tenants)];
}

function keyListRoutes(tenants: Tenants): Route[] {
  return [
    route({
      method: "POST",
      path: "/v1/api-keys",
      operationId: "createApiKey",
      summary: "Create an API key",
      description: "The answer holds the key; it cannot be shown again.",
      ...shared,
      permission: "api_keys:write",
      schemas: {
        body: Type.Object({
          id: Uuid,
          kind: Key.properties.kind,
          name: Type.String({ minLength: 1, maxLength: 100 }),
          permissions: Type.Optional(Type.Array(Permission, { maxItems: 100, uniqueItems: true })),
          expiresAt: Type.Optional(Moment),
        }),
        response: IssuedKey,
      },
      failures: ["tenants.key_id_taken", "tenants.permission_not_held"],
      handle: async ({ ctx, body, principal }) => {
        const { expiresAt, permissions = [], ...rest } = body;
        const issued = await tenants.createKey(ctx, principal ?? { permissions: [] }, {
          ...rest,
          id: body.id as ApiKeyId,
          permissions,
          ...(expiresAt ? { expiresAt: new Date(expiresAt) } : {}),
        });
        return issued.ok ? ok({ status: 201, body: keyBody(issued.value) }) : issued;
      },
    }),
    route({
      method: "GET",
      path: "/v1/api-keys",
      operationId: "listApiKeys",
      summary: "List API keys, oldest first",
      ...shared,
      permission: "api_keys:read",
      schemas: { query: PageQuery, response: pageSchema(Key) },
      failures: ["request.bad_cursor"],
      handle: async ({ ctx, query }) => {
        const scope = { tenantId: ctx.tenantId, list: "api_keys" };
        return paged(scope, query, (after, limit) => tenants.listKeys(ctx, after, limit), keyBody);
      },
    }),
  ];
}

function keyChangeRoutes(tenants: Tenants): Route[] {
  return [
    route({
      method: "POST",
      path: "/v1/api-keys/{id}/rotate",
      operationId: "rotateApiKey",
      summary: "Replace an API key; both work for a while",
      ...shared,
      permission: "api_keys:write",
      schemas: {
        params: ById,
        body: Type.Object({
          newId: Uuid,
          overlapSeconds: Type.Optional(
            Type.Integer({ minimum: 0, maximum: rotationOverlapMaxMs / 1_000, default: 86_400 }),
          ),
        }),
        response: IssuedKey,
      },
      failures: ["tenants.key_not_found", "tenants.key_id_taken", "tenants.key_revoked"],
      handle: async ({ ctx, params, body }) => {
        const rotated = await tenants.rotateKey(ctx, {
          id: params.id as ApiKeyId,
          newId: body.newId as ApiKeyId,
          overlapMs: (body.overlapSeconds ?? 86_400) * 1_000,
        });
        return rotated.ok ? ok({ status: 201, body: keyBody(rotated.value) }) : rotated;
      },
    }),
    route({
      method: "DELETE",
      path: "/v1/api-keys/{id}",
      operationId: "revokeApiKey",
      summary: "Revoke an API key",
      description: "It stops working at once on this node and within two seconds on the others.",
      ...shared,
      permission: "api_keys:write",
      schemas: { params: ById, response: Key },
      failures: ["tenants.key_not_found"],
      handle: async ({ ctx, params }) => {
        const revoked = await tenants.revokeKey(ctx, params.id as ApiKeyId);
        return revoked.ok ? ok({ body: keyBody(revoked.value) }) : revoked;
      },
    }),
  ];
}

function keyBody(key: ApiKey | IssuedApiKey) {
  const { createdAt, lastUsedAt, expiresAt, revokedAt, ...rest } = key;
  return {
    ...rest,
    createdAt: createdAt.toISOString(),
    ...(lastUsedAt ? { lastUsedAt: lastUsedAt.toISOString() } : {}),
    ...(expiresAt ? { expiresAt: expiresAt.toISOString() } : {}),
    ...(revokedAt ? { revokedAt: revokedAt.toISOString() } : {}),
  };
}
