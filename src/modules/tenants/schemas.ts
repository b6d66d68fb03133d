import { Type } from "typebox";

/** Slug in requests and answers. */
export const Slug = Type.String({
  minLength: 2,
  maxLength: 40,
  pattern: "^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
});
/** Currency in requests and answers. */
export const Currency = Type.String({ pattern: "^[A-Z]{3}$", description: "ISO 4217" });
/** Currencies in requests and answers. */
export const Currencies = Type.Array(Currency, { minItems: 1, maxItems: 50, uniqueItems: true });
/** Locale in requests and answers. */
export const Locale = Type.String({
  pattern: "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
  maxLength: 35,
});
/** Name in requests and answers. */
export const Name = Type.String({ minLength: 1, maxLength: 200 });
/** Uuid in requests and answers. */
export const Uuid = Type.String({ format: "uuid" });
/** Moment in requests and answers. */
export const Moment = Type.String({ format: "date-time" });

/** Settings in requests and answers. */
export const Settings = Type.Object({
  supportEmail: Type.Optional(Type.String({ format: "email", maxLength: 254 })),
  colour: Type.Optional(Type.String({ pattern: "^#[0-9a-f]{6}$" })),
  reservationMinutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_440 })),
  guestCheckout: Type.Optional(Type.Boolean()),
  shopKey: Type.Optional(Type.String({ pattern: "^pk_[A-Za-z0-9_-]{43}$" })),
});

/** Style in requests and answers. */
export const Style = Type.Union(
  [Type.Literal("pool"), Type.Literal("bridge"), Type.Literal("silo")],
  {
    description: "Shared schema, schema of its own, database of its own.",
  },
);

/** TenantBody in requests and answers. */
export const TenantBody = Type.Object({
  id: Uuid,
  slug: Slug,
  name: Name,
  status: Type.Union(
    (["provisioning", "active", "suspended", "erasing"] as const).map((s) => Type.Literal(s)),
  ),
  currencies: Currencies,
  defaultCurrency: Currency,
  defaultLocale: Locale,
  pricesIncludeTax: Type.Boolean(),
  settings: Settings,
  style: Style,
  version: Type.Integer(),
  createdAt: Moment,
});

/** Key in requests and answers. */
export const Key = Type.Object({
  id: Uuid,
  kind: Type.Union([Type.Literal("secret"), Type.Literal("publishable")]),
  name: Type.String(),
  hint: Type.String({ description: "Its last four characters." }),
  permissions: Type.Array(Type.String()),
  createdAt: Moment,
  lastUsedAt: Type.Optional(
    Type.String({
      format: "date-time",
      description: "When a request last came with it, to the minute; known some seconds later.",
    }),
  ),
  expiresAt: Type.Optional(Moment),
  revokedAt: Type.Optional(Moment),
});
/** IssuedKey in requests and answers. */
export const IssuedKey = Type.Object({
  ...Key.properties,
  key: Type.String({ description: "The key itself. It is shown this once." }),
});

/** Permission in requests and answers. */
export const Permission = Type.String({ pattern: "^(\\*|[a-z_]+:(\\*|[a-z_]+))$", maxLength: 100 });
/** ById in requests and answers. */
export const ById = Type.Object({ id: Uuid });
/** PageQuery in requests and answers. */
export const PageQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  cursor: Type.Optional(Type.String({ maxLength: 2_000 })),
});

/** One page of a list. */
export function pageSchema<Item extends ReturnType<typeof Type.Object>>(item: Item) {
  return Type.Object({ items: Type.Array(item), nextCursor: Type.Optional(Type.String()) });
}
