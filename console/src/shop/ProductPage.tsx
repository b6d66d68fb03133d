import { type paths, take } from "@brandos/sdk";
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "react-router";
import { Icon } from "../ui/Icon.tsx";
import { formatMoney } from "../ui/money.ts";
import { sayProblem } from "../ui/problem.ts";
import { useCart } from "./cart.tsx";
import { Quantity } from "./Quantity.tsx";
import { useShop } from "./shop-config.tsx";

type Product = paths["/v1/products/{id}"]["get"]["responses"]["2XX"]["content"]["application/json"];
type Variant = Product["variants"][number];

/** One product: its picture, its options, and the way into the cart. */
export function ProductPage() {
  const { id = "" } = useParams();
  const { api } = useShop();
  const product = useQuery({
    queryKey: ["product", id],
    queryFn: () => take(api.GET("/v1/products/{id}", { params: { path: { id } } })),
  });
  if (product.isError) {
    return (
      <div className="page nothing" role="alert">
        <strong>{sayProblem(product.error)}</strong>
        <Link to="/">Back to the shop</Link>
      </div>
    );
  }
  if (!product.data) return <div className="page" aria-busy="true" style={{ minHeight: "60vh" }} />;
  return <Found key={product.data.id} product={product.data} />;
}

function Found({ product }: { readonly product: Product }) {
  const [chosen, setChosen] = useState<Readonly<Record<string, string>>>(
    () => (product.variants[0]?.optionValues ?? {}) as Readonly<Record<string, string>>,
  );
  const variant = product.variants.find((candidate) =>
    Object.entries(candidate.optionValues).every(([name, value]) => chosen[name] === value),
  );
  const picture = product.media[0];
  return (
    <article className="page product">
      <div className="product-picture">
        {picture ? (
          <img
            className="product-image"
            src={picture.url}
            alt={picture.alt}
            width={640}
            height={640}
          />
        ) : (
          <div className="product-image" />
        )}
      </div>
      <div className="product-about">
        <Link to="/" className="muted back">
          <Icon name="back" size={14} /> All products
        </Link>
        <h1>{product.title}</h1>
        {variant ? <Price variant={variant} /> : <p className="muted">Not made like this.</p>}
        {product.options.map((option) => (
          <fieldset key={option.name} className="options">
            <legend>{option.name}</legend>
            {option.values.map((value) => (
              <label key={value}>
                <input
                  type="radio"
                  name={option.name}
                  value={value}
                  checked={chosen[option.name] === value}
                  onChange={() => setChosen({ ...chosen, [option.name]: value })}
                />
                <span>{value}</span>
              </label>
            ))}
          </fieldset>
        ))}
        {variant && <Buy variant={variant} />}
        <p className="about">{product.description}</p>
        <p className="muted mono">{variant?.sku}</p>
      </div>
    </article>
  );
}

function Price({ variant }: { readonly variant: Variant }) {
  const { currency, pricesIncludeTax } = useShop();
  const price = variant.prices.find((one) => one.currency === currency && one.minQuantity === 1);
  if (!price) return <p className="muted">Not sold in {currency}</p>;
  return (
    <p className="price">
      {formatMoney(price.amountMinor, currency)}{" "}
      {price.compareAtMinor !== null && <s>{formatMoney(price.compareAtMinor, currency)}</s>}
      <small className="muted">{pricesIncludeTax ? "including tax" : "plus tax"}</small>
    </p>
  );
}

type Shelf =
  paths["/v1/availability"]["get"]["responses"]["2XX"]["content"]["application/json"]["items"][number];

/** What there is of a variant; asked again when the window is looked at again. */
function useShelf(variantId: string): Shelf | undefined {
  const { api } = useShop();
  const { data } = useQuery({
    queryKey: ["availability", variantId],
    queryFn: () =>
      take(api.GET("/v1/availability", { params: { query: { variantIds: variantId } } })),
  });
  return data?.items[0];
}

function sayShelf(shelf: Shelf | undefined): string {
  switch (shelf?.state) {
    case "in_stock":
      return "In stock.";
    case "few_left":
      return `Only ${shelf.left} left.`;
    case "backorder":
      return "Made to order.";
    case "sold_out":
      return "We have none left.";
    default:
      return "\u00a0";
  }
}

function Buy({ variant }: { readonly variant: Variant }) {
  const { currency } = useShop();
  const { add, isChanging, drawer, problem } = useCart();
  const [quantity, setQuantity] = useState(1);
  const shelf = useShelf(variant.id);
  const isSold =
    variant.status === "active" && variant.prices.some((one) => one.currency === currency);
  const isGone = shelf?.state === "sold_out";
  const submit = async () => {
    try {
      await add(variant.id, quantity);
      drawer.open();
    } catch {
      // Shown below.
    }
  };
  return (
    <div className="stack">
      <div className="row">
        <Quantity value={quantity} onChange={setQuantity} label={variant.sku} />
        <Button
          className="brand-button"
          size="md"
          onClick={submit}
          loading={isChanging}
          disabled={!isSold || isGone}
          style={{ flex: 1 }}
        >
          {isGone ? "Sold out" : "Put into the cart"}
        </Button>
      </div>
      <p className="muted">{sayShelf(shelf)}</p>
      {problem !== null && problem !== undefined && (
        <p className="said-bad" role="alert">
          {sayProblem(problem)}
        </p>
      )}
    </div>
  );
}
