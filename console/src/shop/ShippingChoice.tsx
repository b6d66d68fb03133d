import { take } from "@brandos/sdk";
import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { formatMoney } from "../ui/money.ts";
import { sayProblem } from "../ui/problem.ts";
import { type Cart, useCart } from "./cart.tsx";
import { useShop } from "./shop-config.tsx";

/** The ways a cart can travel to its address. The first one is taken unless another is chosen. */
export function ShippingChoice({ cart }: { readonly cart: Cart }) {
  const { api } = useShop();
  const { change } = useCart();
  const [problem, setProblem] = useState<string>();
  const options = useQuery({
    queryKey: ["shipping", cart.id, cart.version],
    queryFn: () =>
      take(api.GET("/v1/carts/{id}/shipping-options", { params: { path: { id: cart.id } } })),
    placeholderData: (before) => before,
  });
  const choose = (shippingMethodId: string) => {
    setProblem(undefined);
    change({ shippingMethodId }).catch((error) => setProblem(sayProblem(error)));
  };
  const first = options.data?.items[0]?.methodId;
  const chosen = cart.shippingMethodId;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once per cart without a choice
  useEffect(() => {
    if (chosen === null && first !== undefined) choose(first);
  }, [chosen, first]);
  if (options.isError) return <p role="alert">{sayProblem(options.error)}</p>;
  if (!options.data) return <Skeleton height={56} radius="md" />;
  if (options.data.items.length === 0) {
    return <p className="said-bad">Sorry, we do not deliver to this address.</p>;
  }
  return (
    <div role="radiogroup" aria-label="Shipping">
      {options.data.items.map((option) => (
        <label key={option.methodId} className="choice">
          <input
            type="radio"
            name="shipping"
            checked={chosen === option.methodId}
            onChange={() => choose(option.methodId)}
          />
          <span className="choice-text">
            {option.name}
            <small>{sayDays(option.deliveryDaysMin, option.deliveryDaysMax)}</small>
          </span>
          <strong className="number">
            {option.amountMinor === 0 ? "Free" : formatMoney(option.amountMinor, option.currency)}
          </strong>
        </label>
      ))}
      {problem && (
        <p className="said-bad" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

function sayDays(from: number | null, to: number | null): string {
  if (from === null && to === null) return "";
  if (from === null || to === null || from === to) return `${from ?? to} days`;
  return `${from} to ${to} days`;
}
