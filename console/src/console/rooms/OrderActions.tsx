import { take } from "@brandos/sdk";
import { NumberInput, Select, TextInput } from "@mantine/core";
import { useState } from "react";
import { newId } from "../../ui/ids.ts";
import { decimalOf, exponentOf, readMinor } from "../../ui/money.ts";
import { useApi, useChange } from "../api.tsx";
import { Ask } from "../parts/Ask.tsx";
import type { Order, Payment } from "./OrderRoom.tsx";

interface OrderActionsProps {
  readonly order: Order;
  readonly payments: readonly Payment[];
}

const touches = [["order"], ["orders"], ["payments"], ["stock"], ["overview"]] as const;

/** What can be done with an order in its state. */
export function OrderActions({ order, payments }: OrderActionsProps) {
  const api = useApi();
  const path = { params: { path: { id: order.id } } };
  const confirm = useChange({
    run: () => take(api.POST("/v1/orders/{id}/confirm", path)),
    done: "Confirmed",
    touches,
  });
  const complete = useChange({
    run: () => take(api.POST("/v1/orders/{id}/complete", path)),
    done: "Completed",
    touches,
  });
  const { status } = order;
  const captured = payments.find(
    (payment) => payment.captured.amountMinor > payment.refunded.amountMinor,
  );
  const sent = order.lines.some((line) => line.fulfilledQuantity > line.returnedQuantity);
  return (
    <>
      {captured && <Refund payment={captured} />}
      {sent && <Return order={order} />}
      {["pending", "confirmed"].includes(status) && <Cancel order={order} />}
      {status === "pending" && (
        <Ask
          label="Confirm"
          title="Confirm the order?"
          confirm="Confirm"
          onConfirm={() => confirm.mutateAsync(undefined)}
        />
      )}
      {["confirmed", "paid"].includes(status) && <Fulfil order={order} />}
      {status === "fulfilled" && (
        <Ask
          label="Complete"
          variant="filled"
          title="Complete the order?"
          confirm="Complete"
          onConfirm={() => complete.mutateAsync(undefined)}
        />
      )}
    </>
  );
}

function Cancel({ order }: { readonly order: Order }) {
  const api = useApi();
  const [reason, setReason] = useState("");
  const cancel = useChange({
    run: () =>
      take(
        api.POST("/v1/orders/{id}/cancel", {
          params: { path: { id: order.id } },
          body: reason ? { reason } : {},
        }),
      ),
    done: "Cancelled",
    touches,
  });
  return (
    <Ask
      label="Cancel order"
      title={`Cancel order #${order.number}?`}
      confirm="Cancel the order"
      danger
      onConfirm={() => cancel.mutateAsync(undefined)}
    >
      <p className="muted">Its stock goes back on sale, and nothing more is charged.</p>
      <TextInput
        label="Reason"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        data-autofocus
      />
    </Ask>
  );
}

function Fulfil({ order }: { readonly order: Order }) {
  const api = useApi();
  const [carrier, setCarrier] = useState("");
  const [trackingCode, setTrackingCode] = useState("");
  // Kept over retries, so that a parcel is made once.
  const [id] = useState(() => newId());
  const fulfil = useChange({
    run: () =>
      take(
        api.POST("/v1/orders/{id}/fulfilments", {
          params: { path: { id: order.id } },
          body: {
            id,
            ...(carrier ? { carrier } : {}),
            ...(trackingCode ? { trackingCode } : {}),
          },
        }),
      ),
    done: "Marked as sent",
    touches,
  });
  return (
    <Ask
      label="Fulfil"
      variant="filled"
      title={`Send order #${order.number}`}
      confirm="Mark as sent"
      onConfirm={() => fulfil.mutateAsync(undefined)}
    >
      <TextInput
        label="Carrier"
        value={carrier}
        onChange={(event) => setCarrier(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        label="Tracking code"
        value={trackingCode}
        onChange={(event) => setTrackingCode(event.currentTarget.value)}
      />
    </Ask>
  );
}

function Return({ order }: { readonly order: Order }) {
  const api = useApi();
  const returnable = order.lines.filter((line) => line.fulfilledQuantity > line.returnedQuantity);
  const [lineNo, setLineNo] = useState(String(returnable[0]?.lineNo ?? ""));
  const [quantity, setQuantity] = useState<string | number>(1);
  const [reason, setReason] = useState("");
  const [id] = useState(() => newId());
  const takeBack = useChange({
    run: () =>
      take(
        api.POST("/v1/orders/{id}/returns", {
          params: { path: { id: order.id } },
          body: {
            id,
            ...(reason ? { reason } : {}),
            lines: [{ lineNo: Number(lineNo), quantity: Number(quantity), restock: true }],
          },
        }),
      ),
    done: "Return taken",
    touches,
  });
  return (
    <Ask
      label="Return"
      title="Take goods back"
      confirm="Take back"
      onConfirm={() => takeBack.mutateAsync(undefined)}
    >
      <Select
        label="Product"
        data={returnable.map((line) => ({ value: String(line.lineNo), label: line.title }))}
        value={lineNo}
        onChange={(value) => setLineNo(value ?? "")}
        allowDeselect={false}
      />
      <NumberInput label="Quantity" min={1} value={quantity} onChange={setQuantity} />
      <TextInput
        label="Reason"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
      />
    </Ask>
  );
}

function Refund({ payment }: { readonly payment: Payment }) {
  const api = useApi();
  const { currency } = payment.captured;
  const most = payment.captured.amountMinor - payment.refunded.amountMinor;
  const [amount, setAmount] = useState(decimalOf(most, exponentOf(currency)));
  const [reason, setReason] = useState("");
  const [id] = useState(() => newId());
  const amountMinor = readMinor(amount, currency);
  const bad = amountMinor === undefined || amountMinor <= 0 || amountMinor > most;
  const refund = useChange({
    run: () => {
      if (amountMinor === undefined) throw new Error("Not an amount");
      return take(
        api.POST("/v1/payments/{id}/refunds", {
          params: { path: { id: payment.id } },
          body: { id, amountMinor, basis: "goodwill", ...(reason ? { reason } : {}) },
        }),
      );
    },
    done: ({ operation }) => `Refund ${operation.status}`,
    touches,
  });
  return (
    <Ask
      label="Refund"
      title="Refund the payment"
      confirm="Refund"
      onConfirm={() => refund.mutateAsync(undefined)}
    >
      <TextInput
        label={`Amount in ${currency}`}
        inputMode="decimal"
        value={amount}
        onChange={(event) => setAmount(event.currentTarget.value)}
        error={bad ? `An amount up to ${decimalOf(most, exponentOf(currency))}` : undefined}
        data-autofocus
      />
      <TextInput
        label="Reason"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
      />
    </Ask>
  );
}
