import { Button, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { Link } from "react-router";
import { formatMoney } from "../ui/money.ts";
import { sayCode, sayProblem } from "../ui/problem.ts";
import { AddressForm } from "./AddressForm.tsx";
import { CartLines } from "./CartDrawer.tsx";
import { type Cart, useCart } from "./cart.tsx";
import { PaymentForm } from "./PaymentForm.tsx";
import { ShippingChoice } from "./ShippingChoice.tsx";

/** The way from a full cart to an order, on one page. */
export function CheckoutPage() {
  const { cart } = useCart();
  const [editing, setEditing] = useState(false);
  if (!cart || cart.lines.length === 0) {
    return (
      <div className="page nothing">
        <strong>Your cart is empty</strong>
        <Link to="/">Have a look around</Link>
      </div>
    );
  }
  const addressed = cart.email !== null && cart.shippingAddress !== null && !editing;
  return (
    <div className="page">
      <h1 className="list-title">Checkout</h1>
      <div className="checkout">
        <div>
          <section aria-label="Address">
            <h2>Where it goes</h2>
            {addressed ? (
              <Address cart={cart} edit={() => setEditing(true)} />
            ) : (
              <AddressForm cart={cart} onSaved={() => setEditing(false)} />
            )}
          </section>
          {addressed && (
            <section aria-label="Shipping">
              <h2>How it travels</h2>
              <ShippingChoice key={cart.shippingAddress?.countryCode} cart={cart} />
            </section>
          )}
          {addressed && cart.shippingMethodId && <PaymentForm cart={cart} />}
        </div>
        <Summary cart={cart} />
      </div>
    </div>
  );
}

function Address({ cart, edit }: { readonly cart: Cart; readonly edit: () => void }) {
  const to = cart.shippingAddress;
  return (
    <div className="row" style={{ justifyContent: "space-between" }}>
      <address style={{ fontStyle: "normal" }}>
        <strong>{to?.name}</strong>, {cart.email}
        <br />
        {to?.line1}, {to?.postalCode} {to?.city}, {to?.countryCode}
      </address>
      <Button variant="subtle" color="gray" onClick={edit}>
        Change
      </Button>
    </div>
  );
}

function Summary({ cart }: { readonly cart: Cart }) {
  const { prices, currency } = cart;
  const money = (amountMinor: number) => (
    <span className="number">{formatMoney(amountMinor, currency)}</span>
  );
  return (
    <aside className="summary" aria-label="Summary">
      <CartLines />
      {cart.problem && <p className="said-bad">{sayCode(cart.problem.code)}</p>}
      <Coupon cart={cart} />
      {prices && (
        <div aria-live="polite">
          <div className="sum">
            <span>Subtotal</span>
            {money(prices.subtotalMinor)}
          </div>
          {prices.promotions.map((promotion) => (
            <div className="sum" key={promotion.promotionId}>
              <span>{promotion.name}</span>
              {money(-promotion.discountMinor)}
            </div>
          ))}
          <div className="sum">
            <span>Shipping</span>
            {prices.shipping ? money(prices.shippingMinor) : <span className="muted">–</span>}
          </div>
          <div className="sum muted">
            <span>{prices.priceIncludesTax ? "Tax, included" : "Tax"}</span>
            {money(prices.taxMinor)}
          </div>
          <div className="sum total">
            <span>Total</span>
            {money(prices.totalMinor)}
          </div>
        </div>
      )}
    </aside>
  );
}

function Coupon({ cart }: { readonly cart: Cart }) {
  const { change } = useCart();
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState<string>();
  const refused = cart.prices?.refusedCodes[0];
  const apply = async (codes: readonly string[]) => {
    setProblem(undefined);
    await change({ couponCodes: [...codes] }).then(
      () => setCode(""),
      (error) => setProblem(sayProblem(error)),
    );
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void apply([...new Set([...cart.couponCodes, code.trim()])]);
  };
  return (
    <form onSubmit={submit} style={{ padding: "14px 0" }}>
      <div className="row" style={{ alignItems: "flex-end", flexWrap: "nowrap" }}>
        <TextInput
          label="Coupon"
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
          error={
            problem ??
            (refused ? `${refused.code}: ${refused.reason.replaceAll("_", " ")}` : undefined)
          }
          style={{ flex: 1 }}
        />
        <Button type="submit" variant="default" disabled={code.trim() === ""}>
          Apply
        </Button>
      </div>
      {cart.couponCodes.map((known) => (
        <Button
          key={known}
          size="compact-xs"
          variant="default"
          mt={8}
          aria-label={`Take coupon ${known} away`}
          onClick={() => void apply(cart.couponCodes.filter((other) => other !== known))}
        >
          {known} ✕
        </Button>
      ))}
    </form>
  );
}
