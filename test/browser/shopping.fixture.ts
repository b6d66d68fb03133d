import type { Page } from "playwright-core";

/** Puts a shop's first product into the cart and goes to the payment. */
export async function goToPayment(page: Page, shopUrl: string): Promise<void> {
  await page.goto(shopUrl);
  await page.locator(".card a").first().click();
  await page.getByRole("button", { name: "Put into the cart" }).click();
  await page.getByRole("button", { name: "Checkout" }).click();
  await page.getByRole("button", { name: "Fill in an example" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: "How you pay" }).waitFor();
}

/** Pays with the test card of this behaviour. */
export async function payWith(page: Page, says: string): Promise<void> {
  await page.getByRole("button", { name: says, exact: true }).click();
  await page.getByRole("button", { name: /^Pay / }).click();
}

/** Where the console shows the order that was just placed. */
export async function orderInConsole(page: Page): Promise<string> {
  const link = page.getByRole("link", { name: "Watch this order in the console" });
  const href = await link.getAttribute("href");
  if (href === null) throw new Error("the page names no order");
  return href;
}
