import { createClient } from "@brandos/sdk";
import { Alert, Center, Loader } from "@mantine/core";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { Link, Route, Routes } from "react-router";
import { sayProblem } from "../ui/problem.ts";
import { CartProvider } from "./cart.tsx";
import { Header } from "./Header.tsx";
import { HomePage } from "./HomePage.tsx";
import { ShopContext, useShopRecord } from "./shop-config.tsx";

const ProductPage = lazy(async () => ({
  default: (await import("./ProductPage.tsx")).ProductPage,
}));
const CheckoutPage = lazy(async () => ({
  default: (await import("./CheckoutPage.tsx")).CheckoutPage,
}));
const OutcomePage = lazy(async () => ({
  default: (await import("./OutcomePage.tsx")).OutcomePage,
}));

/** A brand's shop. */
export function Shop({ slug }: { readonly slug: string }) {
  const record = useShopRecord(slug);
  const [chosen, setCurrency] = useState<string>();
  const shop = useMemo(() => {
    if (!record.data) return undefined;
    const { settings, defaultCurrency, ...rest } = record.data;
    return {
      ...rest,
      currency: chosen ?? defaultCurrency,
      ...(settings.supportEmail ? { supportEmail: settings.supportEmail } : {}),
      api: createClient({ baseUrl: location.origin, key: settings.shopKey ?? "" }),
      setCurrency,
    };
  }, [record.data, chosen]);
  useBrand(slug, record.data?.name);
  if (record.isError) {
    return (
      <Center mih="60vh" p="md">
        <Alert color="red" variant="light" title="This shop is not open" role="alert">
          {sayProblem(record.error)}
        </Alert>
      </Center>
    );
  }
  if (!shop) return <Waiting />;
  return (
    <ShopContext value={shop}>
      <CartProvider key={shop.currency}>
        <a className="skip" href="#content">
          Skip to the content
        </a>
        <Header />
        <main id="content" tabIndex={-1}>
          <Suspense fallback={<Waiting />}>
            <Routes>
              <Route index element={<HomePage />} />
              <Route path="collections/:collection" element={<HomePage />} />
              <Route path="products/:id" element={<ProductPage />} />
              <Route path="checkout" element={<CheckoutPage />} />
              <Route path="orders/:id" element={<OutcomePage />} />
              <Route path="*" element={<NotFound />} />
            </Routes>
          </Suspense>
        </main>
        <footer className="foot">
          {shop.name} is a demonstration brand: nothing is sold, no money moves.
        </footer>
      </CartProvider>
    </ShopContext>
  );
}

/** Gives each brand its own hue, and the tab its name. */
function useBrand(slug: string, name: string | undefined): void {
  useEffect(() => {
    let hue = 7;
    for (const letter of slug) hue = (hue * 31 + letter.charCodeAt(0)) % 360;
    document.documentElement.style.setProperty("--hue", String(hue));
    if (name) document.title = name;
  }, [slug, name]);
}

function Waiting() {
  return (
    <Center mih="50vh">
      <Loader size="sm" color="gray" aria-label="Loading" />
    </Center>
  );
}

function NotFound() {
  return (
    <div className="page nothing">
      <strong>There is nothing here</strong>
      <Link to="/">Back to the shop</Link>
    </div>
  );
}
