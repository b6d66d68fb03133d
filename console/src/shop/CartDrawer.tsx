import { Button, Drawer } from "@mantine/core";
import { useNavigate } from "react-router";
import { formatMoney } from "../ui/money.ts";
import { sayProblem } from "../ui/problem.ts";
import { useCart } from "./cart.tsx";
import { Quantity } from "./Quantity.tsx";

/** The cart, from the side. */
export function CartDrawer() {
  const { cart, drawer, problem } = useCart();
  const navigate = useNavigate();
  const lines = cart?.prices?.lines ?? [];
  const currency = cart?.currency ?? "EUR";
  const goOn = () => {
    drawer.close();
    void navigate("/checkout");
  };
  return (
    <Drawer opened={drawer.opened} onClose={drawer.close} title="Your cart" size="md">
      {lines.length === 0 ? (
        <div className="nothing">
          <strong>It is empty</strong>What you put in waits here for you.
        </div>
      ) : (
        <>
          <CartLines />
          {problem !== null && problem !== undefined && (
            <p className="said-bad" role="alert">
              {sayProblem(problem)}
            </p>
          )}
          <div className="drawer-foot">
            <div className="sum">
              <span>Subtotal</span>
              <strong className="number">
                {formatMoney(cart?.prices?.subtotalMinor ?? 0, currency)}
              </strong>
            </div>
            <Button className="brand-button" size="md" fullWidth onClick={goOn} data-autofocus>
              Checkout
            </Button>
          </div>
        </>
      )}
    </Drawer>
  );
}

/** The lines of the cart, with their quantities to change. */
export function CartLines() {
  const { cart, setQuantity } = useCart();
  const change = (variantId: string, quantity: number) => {
    setQuantity(variantId, quantity).catch(() => undefined); // Shown by whoever shows the cart.
  };
  return (
    <ul className="cart-lines">
      {(cart?.prices?.lines ?? []).map((line) => (
        <li key={line.variantId}>
          <span>
            {line.title}
            <small className="muted number">
              {formatMoney(line.unitPriceMinor, cart?.currency ?? "EUR")} each
            </small>
          </span>
          <Quantity
            value={line.quantity}
            onChange={(quantity) => change(line.variantId, quantity)}
            label={line.title}
            min={0}
          />
          <strong className="number">
            {formatMoney(line.unitPriceMinor * line.quantity, cart?.currency ?? "EUR")}
          </strong>
        </li>
      ))}
    </ul>
  );
}
