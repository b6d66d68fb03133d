import { Type } from "typebox";
import { fail, ok } from "../../kernel/result.ts";
import { type Route, type RouteReply, route } from "../../platform/http/route.ts";
import {
  IdOf,
  Moment,
  NullableText,
  PageOf,
  pageFields,
  readPage,
  TextByName,
  Uuid,
} from "../../platform/http/shapes.ts";
import type { Consent, Customer } from "./contract.ts";
import type { CustomerProfile, Customers } from "./index.ts";

const tag = "Customers";
const read = { tag, access: "secret", permission: "customers:read" } as const;
const write = { tag, access: "secret", permission: "customers:write" } as const;

const CustomerId = IdOf<"customer">();
const Params = Type.Object({ id: CustomerId });
const AddressParams = Type.Object({ id: CustomerId, addressId: IdOf<"address">() });

const CustomerBody = Type.Object({
  id: Uuid,
  email: Type.String(),
  name: NullableText,
  phone: NullableText,
  locale: NullableText,
  isGuest: Type.Boolean(),
  metadata: TextByName,
  version: Type.Integer(),
  createdAt: Moment,
  updatedAt: Moment,
});
const AddressBody = Type.Object({
  id: Uuid,
  customerId: Uuid,
  name: Type.String(),
  company: NullableText,
  line1: Type.String(),
  line2: NullableText,
  city: Type.String(),
  region: NullableText,
  postalCode: Type.String(),
  countryCode: Type.String(),
  phone: NullableText,
  isDefaultShipping: Type.Boolean(),
  isDefaultBilling: Type.Boolean(),
});
const ConsentBody = Type.Object({
  id: Uuid,
  customerId: Uuid,
  purpose: Type.String(),
  state: Type.Union([Type.Literal("granted"), Type.Literal("withdrawn")]),
  source: Type.String(),
  at: Moment,
});
const ProfileBody = Type.Object({
  ...CustomerBody.properties,
  addresses: Type.Array(AddressBody),
  consents: Type.Array(ConsentBody),
});

const profileFields = {
  name: Type.Optional(Type.Union([Type.String({ maxLength: 200 }), Type.Null()])),
  phone: Type.Optional(Type.Union([Type.String({ maxLength: 50 }), Type.Null()])),
  locale: Type.Optional(Type.Union([Type.String({ maxLength: 35 }), Type.Null()])),
  metadata: Type.Optional(TextByName),
};
const Email = Type.String({ minLength: 3, maxLength: 254 });
const NewCustomerBody = Type.Object({
  id: Type.Optional(CustomerId),
  email: Email,
  ...profileFields,
});
const PatchBody = Type.Object({ email: Type.Optional(Email), ...profileFields });
const OptionalText = (maxLength: number) =>
  Type.Optional(Type.Union([Type.String({ maxLength }), Type.Null()]));
const NewAddressBody = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 200 }),
  company: OptionalText(200),
  line1: Type.String({ minLength: 1, maxLength: 200 }),
  line2: OptionalText(200),
  city: Type.String({ minLength: 1, maxLength: 120 }),
  region: OptionalText(120),
  postalCode: Type.String({ maxLength: 20 }),
  countryCode: Type.String({ pattern: "^[A-Z]{2}$" }),
  phone: OptionalText(50),
  isDefaultShipping: Type.Optional(Type.Boolean()),
  isDefaultBilling: Type.Optional(Type.Boolean()),
});
const NewConsentBody = Type.Object({
  id: Type.Optional(IdOf<"consent">()),
  purpose: Type.String({ pattern: "^[a-z0-9_.]{1,100}$" }),
  state: Type.Union([Type.Literal("granted"), Type.Literal("withdrawn")]),
  source: Type.String({ minLength: 1, maxLength: 200 }),
  at: Type.Optional(Moment),
});

/** The HTTP operations of customers. */
export function customerRoutes(customers: Customers): readonly Route[] {
  return [
    listRoute(customers),
    createRoute(customers),
    getRoute(customers),
    updateRoute(customers),
    ...addressRoutes(customers),
    ...consentRoutes(customers),
  ];
}

function listRoute(customers: Customers): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/customers",
    operationId: "listCustomers",
    summary: "List customers, newest first; find them by the beginning of the email",
    schemas: {
      query: Type.Object({
        email: Type.Optional(Type.String({ maxLength: 254 })),
        isGuest: Type.Optional(Type.Boolean()),
        ...pageFields,
      }),
      response: PageOf(CustomerBody),
    },
    failures: ["request.bad_cursor"],
    async handle({ ctx, query: { email, isGuest, limit, cursor } }) {
      const page = await readPage(
        { ctx, list: "customers by id desc", filter: { email, isGuest }, limit, cursor },
        {
          read: (after, most) =>
            customers.list(ctx.tenantId, {
              emailPrefix: email,
              isGuest,
              after: after?.[0] as string | undefined,
              limit: most,
            }),
          positionOf: ({ id }) => [id],
        },
      );
      if (!page.ok) return page;
      return ok({ body: { ...page.value, items: page.value.items.map(customerBody) } });
    },
  });
}

function createRoute(customers: Customers): Route {
  return route({
    ...write,
    method: "POST",
    path: "/v1/customers",
    operationId: "createCustomer",
    summary: "Make a customer",
    description: "A guest with this email, known from a checkout, becomes the customer.",
    schemas: { body: NewCustomerBody, response: CustomerBody },
    failures: ["customers.email_taken", "customers.id_taken", "customers.invalid"],
    async handle({ ctx, body }) {
      const made = await customers.create(ctx, body);
      return made.ok ? ok({ ...reply(made.value), status: 201 }) : made;
    },
  });
}

function getRoute(customers: Customers): Route {
  return route({
    ...read,
    method: "GET",
    path: "/v1/customers/{id}",
    operationId: "getCustomer",
    summary: "Show a customer with addresses and the consents that hold",
    schemas: { params: Params, response: ProfileBody },
    failures: ["customers.not_found"],
    async handle({ ctx, params }) {
      const profile = await customers.find(ctx.tenantId, params.id);
      if (!profile) return fail({ code: "customers.not_found", customerId: params.id });
      return ok({ body: profileBody(profile), version: profile.customer.version });
    },
  });
}

function updateRoute(customers: Customers): Route {
  return route({
    ...write,
    method: "PATCH",
    path: "/v1/customers/{id}",
    operationId: "updateCustomer",
    summary: "Change a customer",
    schemas: { params: Params, body: PatchBody, response: CustomerBody },
    failures: [
      "customers.not_found",
      "customers.stale",
      "customers.email_taken",
      "customers.invalid",
    ],
    async handle({ ctx, params, body, ifMatch }) {
      const changed = await customers.update(ctx, params.id, {
        patch: body,
        expectedVersion: ifMatch,
      });
      return changed.ok ? ok(reply(changed.value)) : changed;
    },
  });
}

function addressRoutes(customers: Customers): readonly Route[] {
  return [
    route({
      ...write,
      method: "POST",
      path: "/v1/customers/{id}/addresses",
      operationId: "createCustomerAddress",
      summary: "Add an address to a customer's book",
      schemas: {
        params: Params,
        body: Type.Object({ id: Type.Optional(IdOf<"address">()), ...NewAddressBody.properties }),
        response: AddressBody,
      },
      failures: [
        "customers.not_found",
        "customers.id_taken",
        "customers.too_many_addresses",
        "customers.invalid",
      ],
      async handle({ ctx, params, body }) {
        const saved = await customers.saveAddress(ctx, params.id, body);
        return saved.ok ? ok({ status: 201, body: saved.value }) : saved;
      },
    }),
    route({
      ...write,
      method: "PUT",
      path: "/v1/customers/{id}/addresses/{addressId}",
      operationId: "saveCustomerAddress",
      summary: "Make or replace an address of a customer's book",
      schemas: { params: AddressParams, body: NewAddressBody, response: AddressBody },
      failures: [
        "customers.not_found",
        "customers.id_taken",
        "customers.too_many_addresses",
        "customers.invalid",
      ],
      async handle({ ctx, params, body }) {
        const address = { ...body, id: params.addressId };
        const saved = await customers.saveAddress(ctx, params.id, address);
        return saved.ok ? ok({ body: saved.value }) : saved;
      },
    }),
    route({
      ...write,
      method: "DELETE",
      path: "/v1/customers/{id}/addresses/{addressId}",
      operationId: "deleteCustomerAddress",
      summary: "Take an address out of a customer's book",
      schemas: { params: AddressParams },
      failures: ["customers.not_found", "customers.address_not_found"],
      async handle({ ctx, params }) {
        const gone = await customers.deleteAddress(ctx, params.id, params.addressId);
        return gone.ok ? ok({ status: 204 }) : gone;
      },
    }),
  ];
}

function consentRoutes(customers: Customers): readonly Route[] {
  const Consents = Type.Object({ items: Type.Array(ConsentBody) });
  return [
    route({
      ...read,
      method: "GET",
      path: "/v1/customers/{id}/consents",
      operationId: "listCustomerConsents",
      summary: "List what a customer agreed to and took back, newest first",
      schemas: { params: Params, response: Consents },
      failures: ["customers.not_found"],
      async handle({ ctx, params }) {
        const found = await customers.listConsents(ctx.tenantId, params.id);
        if (found.length === 0 && !(await customers.find(ctx.tenantId, params.id))) {
          return fail({ code: "customers.not_found", customerId: params.id });
        }
        return ok({ body: { items: found.map(consentBody) } });
      },
    }),
    route({
      ...write,
      method: "POST",
      path: "/v1/customers/{id}/consents",
      operationId: "recordCustomerConsents",
      summary: "Record what a customer agrees to or takes back",
      schemas: {
        params: Params,
        body: Type.Object({
          consents: Type.Array(NewConsentBody, { minItems: 1, maxItems: 100 }),
        }),
        response: Consents,
      },
      failures: ["customers.not_found", "customers.invalid"],
      async handle({ ctx, params, body }) {
        const statements = body.consents.map(({ at, ...rest }) => ({
          ...rest,
          ...(at === undefined ? {} : { at: new Date(at) }),
        }));
        const recorded = await customers.recordConsents(ctx, params.id, statements);
        if (!recorded.ok) return recorded;
        return ok({ status: 201, body: { items: recorded.value.map(consentBody) } });
      },
    }),
  ];
}

function reply(customer: Customer): RouteReply {
  return { body: customerBody(customer), version: customer.version };
}

function customerBody(customer: Customer) {
  return {
    ...customer,
    createdAt: customer.createdAt.toISOString(),
    updatedAt: customer.updatedAt.toISOString(),
  };
}

function consentBody(consent: Consent) {
  return { ...consent, at: consent.at.toISOString() };
}

function profileBody({ customer, addresses, consents }: CustomerProfile) {
  return { ...customerBody(customer), addresses, consents: consents.map(consentBody) };
}
