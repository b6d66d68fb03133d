import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { committedTypes, typesOf } from "../../sdk/tools/generate.ts";
import { goToPayment, orderInConsole, payWith } from "./shopping.fixture.ts";
import { type DemoKeys, findChromium, openSite, type Site } from "./site.fixture.ts";

const executablePath = findChromium();
const skip = executablePath === undefined ? "Chromium is not installed" : false;

describe("the shop and the console in a browser", { skip }, () => {
  let site: Site;
  let brand: DemoKeys;
  let shop: string;

  before(async () => {
    site = await openSite(executablePath ?? "");
    brand = site.keys[0] as DemoKeys;
    shop = `${site.url}/shop/${brand.slug}`;
  });
  after(() => site?.[Symbol.asyncDispose]());

  const signIn = async (options?: Parameters<Site["open"]>[0]) => {
    const page = await site.open(options);
    await page.goto(`${site.url}/console#key=${brand.secretKey}`);
    await page.getByRole("heading", { name: "Latest orders" }).waitFor();
    return page;
  };

  test("a card that works makes a paid order, and the console tells its whole story", async () => {
    const page = await site.open();
    const numbers: string[] = [];
    page.on("request", (request) => {
      if (request.postData()?.includes("4242424242424242")) numbers.push(request.url());
    });
    await goToPayment(page, shop);
    await site.shoot(page, "shop-payment");
    await payWith(page, "is charged");
    await page.getByRole("heading", { name: "Thank you!" }).waitFor();
    await site.shoot(page, "shop-paid");
    assert.equal(numbers.length, 1);
    assert.ok(!numbers[0]?.startsWith(site.url), "the card number went to the provider alone");

    const desk = await signIn();
    assert.ok(!desk.url().includes("sk_"), "the key has left the address bar");
    await desk.goto(site.url + (await orderInConsole(page)));
    await desk.locator(".page-head .status", { hasText: "Paid" }).waitFor();
    const story = desk.getByRole("list", { name: "Timeline" });
    for (const told of [
      "Asked by api key",
      "orders.order_placed",
      "inventory.stock_reserved",
      "checkout.pay_order completed",
      "Payment captured",
      "order.placed",
      "payment.captured",
      "orders.order_paid",
      "receipts.issue done",
    ]) {
      await story.getByText(told, { exact: true }).first().waitFor();
    }
    await site.shoot(desk, "console-order");
  });

  test("a shopper sees when little is left, and cannot ask for what is sold out", async () => {
    const page = await site.open();
    const headers = { authorization: `Bearer ${brand.secretKey}` };
    // biome-ignore lint/suspicious/noExplicitAny: what the server sends
    const ask = async (path: string, init: RequestInit = {}): Promise<any> =>
      (await fetch(site.url + path, { ...init, headers: { ...headers, ...init.headers } })).json();
    const { items: products } = await ask("/v1/products?limit=2");
    const product = products[1];
    const [{ id: variantId }] = product.variants;
    const leave = async (units: number) => {
      const { items } = await ask(`/v1/stock?variantId=${variantId}`);
      const levels = items.map(({ locationId }: { locationId: string }, at: number) => ({
        ...{ variantId, locationId },
        onHand: at === 0 ? units : 0,
      }));
      await ask("/v1/stock", {
        method: "PUT",
        headers: { "content-type": "application/json", "idempotency-key": crypto.randomUUID() },
        body: JSON.stringify({ items: levels }),
      });
    };
    await leave(2);
    await page.goto(`${shop}/products/${product.handle}`);
    await page.getByText("Only 2 left.", { exact: true }).waitFor();
    await site.shoot(page, "shop-few-left");
    await leave(0);
    await page.reload();
    const button = page.getByRole("button", { name: "Sold out" });
    await button.waitFor();
    assert.ok(await button.isDisabled());
  });

  test("an order appears in the open console by itself", async () => {
    const desk = await signIn();
    await desk.getByText("Live", { exact: true }).first().waitFor();
    const page = await site.open();
    await goToPayment(page, shop);
    await payWith(page, "is charged");
    const number = (await page.locator(".outcome strong").textContent()) ?? "";
    await desk.getByRole("link", { name: number, exact: true }).waitFor();
    await desk.getByText("orders.order_paid").first().waitFor();
    await site.shoot(desk, "console-overview");
  });

  test("a declined card leaves the cart open for another one", async () => {
    const page = await site.open();
    await goToPayment(page, shop);
    await payWith(page, "is declined for lack of funds");
    await page.getByText("There is not enough money on the card.").waitFor();
    await site.shoot(page, "shop-declined");
    await payWith(page, "is charged");
    await page.getByRole("heading", { name: "Thank you!" }).waitFor();
  });

  test("an answer that never arrives charges once", async () => {
    const page = await site.open();
    await goToPayment(page, shop);
    await payWith(page, "is charged, and the answer never arrives");
    await page.getByRole("status").getByText("Asking the bank").waitFor();
    await page.getByRole("heading", { name: "Thank you!" }).waitFor({ timeout: 40_000 });
    const id = (await orderInConsole(page)).split("/").at(-1);
    const payments = await fetch(`${site.url}/v1/payments?orderId=${id}`, {
      headers: { authorization: `Bearer ${brand.secretKey}` },
    });
    const { items } = (await payments.json()) as {
      readonly items: readonly { readonly status: string }[];
    };
    assert.deepEqual(
      items.map(({ status }) => status),
      ["captured"],
    );
  });

  test("a bank's page is answered, and the buyer comes back to the order", async () => {
    const page = await site.open();
    await goToPayment(page, shop);
    await payWith(page, "asks the buyer to confirm on a page of the bank");
    await page.getByRole("button", { name: "Approve", exact: true }).click();
    await page.getByRole("heading", { name: "Thank you!" }).waitFor();
    await goToPayment(page, shop);
    await payWith(page, "asks the buyer to confirm on a page of the bank");
    await page.getByRole("button", { name: "Decline", exact: true }).click();
    await page.getByRole("heading", { name: "The payment was declined" }).waitFor();
    await site.shoot(page, "shop-bank-declined");
    await page.getByRole("button", { name: "Try another card" }).click();
    await payWith(page, "is charged");
    await page.getByRole("heading", { name: "Thank you!" }).waitFor();
  });

  test("a coupon takes something off, and an unknown one is refused in words", async () => {
    const page = await site.open();
    await goToPayment(page, shop);
    const coupon = page.getByRole("textbox", { name: "Coupon" });
    await coupon.fill("HELLO10");
    await coupon.press("Enter");
    await page.getByText("Ten per cent for trying").waitFor();
    await coupon.fill("NOSUCH");
    await coupon.press("Enter");
    await page.getByText(/NOSUCH: /).waitFor();
  });

  test("a dead job is retried from the console", async () => {
    const [order] = await site.database.query<{ id: string; tenant_id: string }>(
      "select id, tenant_id from shared.orders_view where status = 'paid' limit 1",
    );
    assert.ok(order);
    await site.database.query(
      `insert into platform.jobs_dead (tenant_id, id, enqueued_at, priority, attempt, attempts_max,
         queue, kind, payload, origin, reason, last_error)
       select t.id, gen_random_uuid(), now(), 0, 5, 5, 'documents', 'receipts.issue',
         json_build_object('orderId', $2::text),
         '{"requestId":"test","actor":{"kind":"system","id":"system"}}', 'exhausted',
         'the printer is on fire'
       from control.tenants t where t.slug = $1`,
      [brand.slug, order.id],
    );
    const desk = await signIn();
    await desk.getByRole("link", { name: "See and retry them" }).click();
    await desk.getByText("the printer is on fire").waitFor();
    await site.shoot(desk, "console-dead-letters");
    await desk.getByRole("button", { name: "Retry" }).click();
    await desk.getByText("No dead letters").waitFor();
  });

  test("an order is found and sent with the keyboard alone", async () => {
    const desk = await signIn();
    await desk.keyboard.press("Alt+2");
    await desk.getByRole("heading", { name: "Orders", exact: true }).waitFor();
    await desk.locator("tbody tr").first().waitFor();
    await desk.keyboard.press("/");
    await desk.keyboard.type("#1001");
    await desk.locator("tbody tr").nth(1).waitFor({ state: "detached" });
    await desk.getByRole("link", { name: "#1001" }).waitFor();
    await desk.locator("tbody tr").first().focus();
    await desk.keyboard.press("Enter");
    await desk.getByRole("heading", { name: "Order #1001" }).waitFor();
    await desk.getByRole("button", { name: "Fulfil" }).focus();
    await desk.keyboard.press("Enter");
    await desk.getByRole("textbox", { name: "Carrier" }).waitFor();
    await desk.keyboard.type("Post");
    await desk.keyboard.press("Enter");
    await desk.locator(".page-head .status", { hasText: "Fulfilled" }).waitFor();
  });

  test("pages fit a phone, in light and in dark", async () => {
    const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await signIn({ ...phone, colorScheme });
      const scheme = await page.locator("html").getAttribute("data-mantine-color-scheme");
      assert.equal(scheme, colorScheme);
      for (const place of ["/console/", "/console/orders", "/console/ledger", "/console/jobs"]) {
        await page.goto(site.url + place);
        await page.locator(".page-head").waitFor();
        const over = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        assert.equal(over, 0, `${place} is wider than the phone`);
      }
      await page.goto(shop);
      await page.locator(".card").first().waitFor();
      await site.shoot(page, `phone-shop-${colorScheme}`);
      await page.getByRole("button", { name: /^Cart/ }).click();
      await page.getByText("It is empty").waitFor();
    }
  });

  test("the operator sees the brands and enters one", async () => {
    const page = await site.open();
    await page.goto(`${site.url}/console`);
    await page.getByLabel("Key").fill(site.operatorKey);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Tenants" }).waitFor();
    await page
      .getByRole("row", { name: new RegExp(brand.name) })
      .getByRole("button", { name: "Enter" })
      .click();
    await page.getByRole("heading", { name: brand.name }).waitFor();
    await page.getByText("Live", { exact: true }).first().waitFor();
  });

  test("the client's types are those of the server", async () => {
    const document = await (await fetch(`${site.url}/openapi.json`)).json();
    assert.equal(await typesOf(document as never), await committedTypes());
  });

  test("nothing went wrong in any page, and none asked for anything elsewhere", () => {
    assert.deepEqual(site.faults, []);
  });
});
