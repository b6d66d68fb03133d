import { take } from "@brandos/sdk";
import { Button, Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { Icon } from "../ui/Icon.tsx";
import { formatMoney } from "../ui/money.ts";
import { type Attempt, findAttempt, saveAttempt } from "./attempts.ts";
import { useCart } from "./cart.tsx";
import { useShop } from "./shop-config.tsx";

/** How a payment stands, in the shopper's words. */
type Standing = "paid" | "waiting" | "declined";

const settled: Readonly<Record<string, Standing>> = {
  paid: "paid",
  captured: "paid",
  partially_captured: "paid",
  authorised: "paid",
  failed: "declined",
  voided: "declined",
  declined: "declined",
};

/** What became of a checkout; also the page to which a bank sends the buyer back. */
export function OutcomePage() {
  const { id = "" } = useParams();
  const attempt = findAttempt(id);
  if (!attempt) {
    return (
      <div className="page outcome">
        <h1>Thank you</h1>
        <p className="muted">
          This tab does not know this order. You get a receipt by email once it is paid.
        </p>
        <Watch orderId={id} />
        <Link to="/">Back to the shop</Link>
      </div>
    );
  }
  return <Known attempt={attempt} />;
}

function Known({ attempt }: { readonly attempt: Attempt }) {
  const { standing, failureCode, nextActionUrl } = useStanding(attempt);
  useCartAfter(standing, attempt);
  if (standing === "paid") return <Paid attempt={attempt} />;
  if (standing === "declined") return <Declined failureCode={failureCode} attempt={attempt} />;
  return (
    <div className="page outcome" role="status">
      <div className="outcome-mark waits">
        <Loader size="sm" color="currentColor" />
      </div>
      <h1>Waiting for the bank</h1>
      <p className="muted">
        Your order is kept. This page finds out by itself; you will not be charged twice.
      </p>
      {nextActionUrl && <a href={nextActionUrl}>Confirm the payment at the bank</a>}
      <Watch orderId={attempt.orderId} />
    </div>
  );
}

/** Asks how the payment stands until it is settled. */
function useStanding(attempt: Attempt) {
  const { api } = useShop();
  const { paymentId } = attempt;
  const known = settled[attempt.status];
  const query = useQuery({
    queryKey: ["standing", attempt.orderId],
    enabled: known === undefined && typeof paymentId === "string",
    queryFn: () =>
      take(api.POST("/v1/payments/{id}/refresh", { params: { path: { id: paymentId ?? "" } } })),
    refetchInterval: ({ state }) => (settled[state.data?.status ?? ""] ? false : 1_500),
  });
  return {
    standing: known ?? settled[query.data?.status ?? ""] ?? ("waiting" as const),
    failureCode: query.data?.failureCode ?? attempt.failureCode,
    nextActionUrl: query.data?.nextActionUrl,
  };
}

/** A paid cart is done with; a declined one is open again. */
function useCartAfter(standing: Standing, attempt: Attempt): void {
  const { forget, adopt } = useCart();
  // biome-ignore lint/correctness/useExhaustiveDependencies: once per change of the standing
  useEffect(() => {
    if (standing === "paid") forget();
    if (standing === "declined") adopt(attempt.cartId);
    if (standing !== "waiting") {
      saveAttempt({ ...attempt, status: standing });
    }
  }, [standing]);
}

function Paid({ attempt }: { readonly attempt: Attempt }) {
  const { number, totalMinor, currency, email } = attempt;
  return (
    <div className="page outcome">
      <div className="outcome-mark">
        <Icon name="check" size={30} />
      </div>
      <h1>Thank you!</h1>
      <p>
        Your order <strong>#{number}</strong>
        {totalMinor !== undefined && currency && <> for {formatMoney(totalMinor, currency)}</>} is
        placed.
      </p>
      {email && <p className="muted">A receipt goes to {email}.</p>}
      <Watch orderId={attempt.orderId} />
      <Link to="/">Back to the shop</Link>
    </div>
  );
}

function Declined(props: { readonly failureCode: string | undefined; readonly attempt: Attempt }) {
  const navigate = useNavigate();
  const { reload } = useCart();
  const again = async () => {
    await reload();
    await navigate("/checkout");
  };
  return (
    <div className="page outcome" role="alert">
      <div className="outcome-mark failed">
        <Icon name="close" size={28} />
      </div>
      <h1>The payment was declined</h1>
      <p className="muted">
        {props.failureCode ? `The bank says: ${props.failureCode.replaceAll("_", " ")}. ` : ""}
        Nothing was charged and your cart is as it was.
      </p>
      <Button className="brand-button" size="md" onClick={() => void again()}>
        Try another card
      </Button>
      <Watch orderId={props.attempt.orderId} />
    </div>
  );
}

function Watch({ orderId }: { readonly orderId: string }) {
  return (
    <a href={`/console/orders/${orderId}`} target="_blank" rel="noreferrer">
      Watch this order in the console
    </a>
  );
}
