import type { BankPayment } from "./bank.ts";

/** The page where a buyer confirms a payment, as 3-D Secure pages do. */
export function confirmationPage(payment: BankPayment): string {
  const amount = `${decimal(payment.amountMinor, payment.currency)} ${escapeHtml(payment.currency)}`;
  const card = payment.instrument
    ? `${escapeHtml(payment.instrument.brand)} ending in ${escapeHtml(payment.instrument.last4)}`
    : "your card";
  const body = payment.isWaiting
    ? `<p>A shop asks for <strong>${amount}</strong> from ${card}.</p>
      <form method="post">
        <button name="decision" value="approve" autofocus>Approve</button>
        <button name="decision" value="decline" class="quiet">Decline</button>
      </form>`
    : "<p>This payment has been answered already. You may close this page.</p>";
  return page("Confirm your payment", body);
}

/** The page a buyer sees when the shop named no address to return to. */
export function answeredPage(isApproved: boolean): string {
  const word = isApproved ? "approved" : "declined";
  return page(`Payment ${word}`, `<p>You ${word} the payment. You may close this page.</p>`);
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${title} · Simulated bank</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto; padding: 0 1rem }
  button { font: inherit; padding: .6rem 1.2rem; margin: 1rem .5rem 0 0; border-radius: .4rem;
    border: 1px solid #1c5d99; background: #1c5d99; color: #fff; cursor: pointer }
  button.quiet { background: transparent; color: inherit }
  small { opacity: .7 }
</style>
</head>
<body>
<main>
<h1>${title}</h1>
${body}
<p><small>This is a simulated bank for tests. No real money moves.</small></p>
</main>
</body>
</html>
`;
}

/** Amount as people write it. The bank computes in minor units only. */
function decimal(amountMinor: number, currency: string): string {
  const { maximumFractionDigits: places = 2 } = new Intl.NumberFormat("en", {
    style: "currency",
    currency,
  }).resolvedOptions();
  return (amountMinor / 10 ** places).toFixed(places);
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}
