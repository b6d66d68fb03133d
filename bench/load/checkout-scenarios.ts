import { randomUUID } from "node:crypto";
import type { Answer, Call, Scenario, Send } from "./http-load.ts";

/** A shop that sells over HTTP: ours or a peer's, with what a buyer must know of it. */
export type ShopTarget =
  | {
      readonly kind: "brandos";
      readonly publishableKey: string;
      readonly variantIds: readonly string[];
      readonly shippingMethodId: string;
      /** Chooses the shipping method when the cart is made already: a call more. */
      readonly choosesLater?: boolean;
      /** How it is paid, as the checkout takes it. */
      readonly payment: { readonly provider: string; readonly instrumentToken?: string };
    }
  | {
      readonly kind: "vendure";
      readonly variantIds: readonly string[];
      readonly shippingMethodId: string;
      readonly paymentMethod: string;
    }
  | {
      readonly kind: "medusa";
      readonly publishableKey: string;
      readonly variantIds: readonly string[];
      readonly regionId: string;
      readonly shippingOptionId: string;
    };

type Target<Kind extends ShopTarget["kind"]> = Extract<ShopTarget, { readonly kind: Kind }>;

/**
 * A full checkout by a new buyer: two items, e-mail and address, shipping, payment, completion; in as
 * few calls as the shop's API offers. Every answer is checked, the last one for a paid order.
 */
export function checkoutScenario(target: ShopTarget): Scenario {
  switch (target.kind) {
    case "brandos":
      return brandosCheckout(target);
    case "vendure":
      return vendureCheckout(target);
    case "medusa":
      return medusaCheckout(target);
  }
}

function brandosCheckout(target: Target<"brandos">): Scenario {
  const headers = { authorization: `Bearer ${target.publishableKey}` };
  const { shippingMethodId, payment, choosesLater = false } = target;
  return async (send, index) => {
    const cart = await send({
      method: "POST",
      path: "/v1/carts",
      headers,
      body: {
        currency: "EUR",
        lines: twoOf(target.variantIds, index).map((variantId) => ({ variantId, quantity: 1 })),
        email: newEmail(),
        ...(choosesLater ? {} : { shippingMethodId }),
        shippingAddress: {
          name: "Ada Buyer",
          line1: "Ring 1",
          city: "Vienna",
          postalCode: "1010",
          countryCode: "AT",
        },
      },
    });
    expect(cart, 201, ({ problem, lines }) => problem === null && lines.length === 2);
    const path = `/v1/carts/${cart.body.id}`;
    const chosen = choosesLater
      ? await send({ method: "PATCH", path, headers, body: { shippingMethodId } })
      : cart;
    expect(chosen, choosesLater ? 200 : 201, ({ prices }) => {
      return prices?.shipping?.methodId === shippingMethodId;
    });
    const order = await send({
      method: "POST",
      path: `${path}/checkout`,
      headers: { ...headers, "idempotency-key": randomUUID() },
      body: { payment },
    });
    expect(order, 201, ({ status, totalMinor }) => {
      return status === "paid" && totalMinor === chosen.body.prices.totalMinor;
    });
  };
}

function medusaCheckout(target: Target<"medusa">): Scenario {
  const headers = { "x-publishable-api-key": target.publishableKey };
  return async (send, index) => {
    const post = (path: string, body: unknown) => send({ method: "POST", path, headers, body });
    const address = {
      first_name: "Ada",
      last_name: "Buyer",
      address_1: "Ring 1",
      city: "Vienna",
      postal_code: "1010",
      country_code: "at",
    };
    const made = await post("/store/carts", {
      region_id: target.regionId,
      email: newEmail(),
      shipping_address: address,
      billing_address: address,
      items: twoOf(target.variantIds, index).map((id) => ({ variant_id: id, quantity: 1 })),
    });
    expect(made, 200, ({ cart }) => cart.items.length === 2);
    const cartId: string = made.body.cart.id;
    const shipping = { option_id: target.shippingOptionId };
    const chosen = await post(`/store/carts/${cartId}/shipping-methods`, shipping);
    expect(chosen, 200, ({ cart }) => cart.shipping_methods.length === 1);
    const opened = await post("/store/payment-collections", { cart_id: cartId });
    expect(opened, 200, (body) => Boolean(body.payment_collection));
    const collection = `/store/payment-collections/${opened.body.payment_collection.id}`;
    const session = await post(`${collection}/payment-sessions`, {
      provider_id: "pp_system_default",
    });
    expect(session, 200, (body) => body.payment_collection.payment_sessions.length === 1);
    const completed = await post(`/store/carts/${cartId}/complete`, {});
    expect(completed, 200, ({ type, order }) => type === "order" && order.items.length === 2);
  };
}

const vendureCalls = {
  add: `mutation ($inputs: [AddItemInput!]!) {
    outcome: addItemsToOrder(inputs: $inputs) { order { id lines { id } } errorResults { __typename } }
  }`,
  customer: `mutation ($input: CreateCustomerInput!) {
    outcome: setCustomerForOrder(input: $input) { __typename }
  }`,
  address: `mutation ($input: CreateAddressInput!) {
    outcome: setOrderShippingAddress(input: $input) { __typename }
  }`,
  shipping: `mutation ($id: [ID!]!) {
    outcome: setOrderShippingMethod(shippingMethodId: $id) { __typename }
  }`,
  arrange: `mutation {
    outcome: transitionOrderToState(state: "ArrangingPayment") { __typename }
  }`,
  pay: `mutation ($method: String!) {
    outcome: addPaymentToOrder(input: { method: $method, metadata: {} }) {
      __typename
      ... on Order { code state }
      ... on ErrorResult { errorCode message }
    }
  }`,
} as const;

function vendureCheckout(target: Target<"vendure">): Scenario {
  return async (send, index) => {
    const ask = vendureBuyer(send);
    const inputs = twoOf(target.variantIds, index).map((productVariantId) => ({
      productVariantId,
      quantity: 1,
    }));
    await ask("add", { inputs }, ({ order, errorResults }) => {
      return order.lines.length === 2 && errorResults.length === 0;
    });
    const isOrder = (outcome: Body) => outcome.__typename === "Order";
    const person = { firstName: "Ada", lastName: "Buyer", emailAddress: newEmail() };
    await ask("customer", { input: person }, isOrder);
    const address = {
      fullName: "Ada Buyer",
      streetLine1: "Ring 1",
      city: "Vienna",
      postalCode: "1010",
      countryCode: "AT",
    };
    await ask("address", { input: address }, isOrder);
    await ask("shipping", { id: [target.shippingMethodId] }, isOrder);
    await ask("arrange", {}, isOrder);
    await ask("pay", { method: target.paymentMethod }, ({ state }) => state === "PaymentSettled");
  };
}

/** Keeps a buyer's session token, which the first answer brings. */
function vendureBuyer(send: Send) {
  let token: string | undefined;
  return async (
    name: keyof typeof vendureCalls,
    variables: Readonly<Record<string, unknown>>,
    isRight: (outcome: Body) => boolean,
  ): Promise<void> => {
    const call: Call = {
      method: "POST",
      path: "/shop-api",
      body: { query: vendureCalls[name], variables },
      ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
    };
    const answer = await send(call);
    expect(answer, 200, ({ data }) => Boolean(data?.outcome) && isRight(data.outcome));
    const given = answer.headers["vendure-auth-token"];
    if (typeof given === "string") token = given;
  };
}

/** An answer's JSON; its fields are checked where they are used. */
// biome-ignore lint/suspicious/noExplicitAny: three foreign APIs, checked by the expectations here
type Body = any;

function expect(
  answer: Answer,
  status: number,
  isRight: (body: Body) => boolean,
): asserts answer is Answer & { body: Body } {
  if (answer.status === status && isRight(answer.body)) return;
  throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
}

/** Two neighbours, so that buyers spread over the whole catalog. */
function twoOf(ids: readonly string[], index: number): readonly string[] {
  const first = (2 * index) % ids.length;
  return [ids[first] ?? "", ids[(first + 1) % ids.length] ?? ""];
}

function newEmail(): string {
  return `${randomUUID()}@buyers.example`;
}
