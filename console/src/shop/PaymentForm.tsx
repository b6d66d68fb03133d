import { ProblemError } from "@brandos/sdk";
import { Button, TextInput } from "@mantine/core";
import { type FormEvent, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { newId } from "../ui/ids.ts";
import { formatMoney } from "../ui/money.ts";
import { sayProblem } from "../ui/problem.ts";
import { saveAttempt } from "./attempts.ts";
import { type CardDetails, tokenise } from "./card-vault.ts";
import { type Cart, useCart } from "./cart.tsx";
import { type PaymentMethod, usePaymentMethods, useShop } from "./shop-config.tsx";

/** One attempt to pay: the same over every repetition, so that it makes one order. */
interface Sent {
  readonly key: string;
  readonly orderId: string;
  readonly token: string | undefined;
  /** What it was made for; another card or cart is another attempt. */
  readonly of: string;
}

const declines: Readonly<Record<string, string>> = {
  card_declined: "The bank declined the card.",
  insufficient_funds: "There is not enough money on the card.",
};

/** Takes the payment, and hands the cart over. */
export function PaymentForm({ cart }: { readonly cart: Cart }) {
  const methods = usePaymentMethods().data ?? [];
  const [provider, setProvider] = useState<string>();
  const [card, setCard] = useState<CardDetails>({ number: "", expiry: "", cvc: "" });
  const method = methods.find((known) => known.provider === provider) ?? methods[0];
  const { pay, busy, problem } = usePaying(cart);
  if (!method) return null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void pay(method, card);
  };
  return (
    <section aria-label="Payment" style={{ borderBottom: 0 }}>
      <h2>How you pay</h2>
      <form onSubmit={submit} className="stack">
        <div role="radiogroup" aria-label="Payment">
          {methods.map((known) => (
            <label key={known.provider} className="choice">
              <input
                type="radio"
                name="provider"
                checked={known.provider === method.provider}
                onChange={() => setProvider(known.provider)}
              />
              <span className="choice-text">{known.title}</span>
            </label>
          ))}
        </div>
        {method.tokeniseUrl && <CardFields card={card} setCard={setCard} method={method} />}
        {problem && (
          <p className="said-bad" role="alert">
            {problem}
          </p>
        )}
        <Button type="submit" className="brand-button" size="lg" loading={busy}>
          Pay {formatMoney(cart.prices?.totalMinor ?? 0, cart.currency)}
        </Button>
        {busy && (
          <p className="muted" role="status">
            Asking the bank. This may take some seconds; you will not be charged twice.
          </p>
        )}
      </form>
    </section>
  );
}

function CardFields(props: {
  readonly card: CardDetails;
  readonly setCard: (card: CardDetails) => void;
  readonly method: PaymentMethod;
}) {
  const { card, setCard, method } = props;
  const put = (name: keyof CardDetails) => (event: { currentTarget: { value: string } }) =>
    setCard({ ...card, [name]: event.currentTarget.value });
  return (
    <>
      <div className="fields">
        <TextInput
          className="full"
          label="Card number"
          inputMode="numeric"
          autoComplete="cc-number"
          required
          value={card.number}
          onChange={put("number")}
        />
        <TextInput
          label="Expiry"
          placeholder="MM/YY"
          autoComplete="cc-exp"
          required
          value={card.expiry}
          onChange={put("expiry")}
        />
        <TextInput
          label="Security code"
          inputMode="numeric"
          autoComplete="cc-csc"
          required
          value={card.cvc}
          onChange={put("cvc")}
        />
      </div>
      {method.testCards && (
        <div>
          <p className="muted" style={{ marginBottom: 6 }}>
            Test cards. A card that …
          </p>
          <div className="test-cards">
            {method.testCards.map(({ number, says }) => (
              <button
                key={number}
                type="button"
                aria-pressed={card.number === number}
                onClick={() => setCard({ number, expiry: "12/34", cvc: "123" })}
              >
                {says}
              </button>
            ))}
          </div>
        </div>
      )}
    </>
  );
}

/** Sends the checkout, and goes where its outcome is shown. */
function usePaying(cart: Cart) {
  const { api, slug } = useShop();
  const { reload } = useCart();
  const navigate = useNavigate();
  const sent = useRef<Sent | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();

  const send = async (method: PaymentMethod, attempt: Sent) => {
    const { key, orderId, token } = attempt;
    const remembered = { orderId, cartId: cart.id, email: cart.email ?? "" };
    saveAttempt({ ...remembered, status: "sent" });
    const { data, error, response } = await api.POST("/v1/carts/{id}/checkout", {
      params: { path: { id: cart.id }, header: { "Idempotency-Key": key } },
      body: {
        orderId,
        payment: {
          provider: method.provider,
          ...(token ? { instrumentToken: token } : {}),
          returnUrl: `${location.origin}/shop/${slug}/orders/${orderId}`,
        },
      },
    });
    if (!response.ok || !data) {
      sent.current = undefined; // Answered: the next try is another attempt.
      throw new ProblemError(error as never);
    }
    saveAttempt({ ...remembered, ...data, status: data.status as never });
    if (data.status === "action_required" && data.nextActionUrl) {
      location.assign(data.nextActionUrl);
      return;
    }
    await navigate(`/orders/${data.orderId}`);
  };

  const pay = async (method: PaymentMethod, card: CardDetails) => {
    setBusy(true);
    setProblem(undefined);
    try {
      const of = JSON.stringify([cart.id, cart.version, method.provider, card]);
      if (sent.current?.of !== of) {
        const token = method.tokeniseUrl ? await tokenise(method.tokeniseUrl, card) : undefined;
        sent.current = { key: crypto.randomUUID(), orderId: newId(), token, of };
      }
      await send(method, sent.current);
    } catch (error) {
      setProblem(sayRefusal(error));
      await reload();
    } finally {
      setBusy(false);
    }
  };
  return { pay, busy, problem };
}

function sayRefusal(error: unknown): string {
  if (!(error instanceof ProblemError)) return sayProblem(error);
  if (error.code !== "checkout.payment_declined") return sayProblem(error);
  const reason = declines[String(error.problem["failureCode"])] ?? "The payment was declined.";
  return `${reason} Nothing was charged; try another card.`;
}
