import { type BrandosClient, createClient, take } from "@brandos/sdk";
import { useQuery } from "@tanstack/react-query";
import { createContext, useContext } from "react";

/** A card of the payment simulator with a known behaviour. */
export interface TestCard {
  readonly number: string;
  /** What happens when it is charged. */
  readonly says: string;
}

/** A way to pay. */
export interface PaymentMethod {
  readonly provider: string;
  readonly title: string;
  /** Where card numbers go, and nowhere else; missing when none is needed. */
  readonly tokeniseUrl?: string;
  readonly testCards?: readonly TestCard[];
}

/** What the pages of a shop work with. */
export interface ShopConfig {
  readonly slug: string;
  readonly name: string;
  readonly currencies: readonly string[];
  readonly currency: string;
  readonly pricesIncludeTax: boolean;
  readonly supportEmail?: string;
  readonly api: BrandosClient;
  readonly setCurrency: (currency: string) => void;
}

/** The shop the page belongs to. */
export const ShopContext = createContext<ShopConfig | undefined>(undefined);

/** The shop the page belongs to. */
export function useShop(): ShopConfig {
  const shop = useContext(ShopContext);
  if (!shop) throw new Error("outside of a shop");
  return shop;
}

/** Loads what a shop's page needs to begin. */
export function useShopRecord(slug: string) {
  return useQuery({
    queryKey: ["shop", slug],
    queryFn: () => {
      const api = createClient({ baseUrl: location.origin });
      return take(api.GET("/v1/shops/{slug}", { params: { path: { slug } } }));
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** The ways to pay here. */
export function usePaymentMethods() {
  const { api } = useShop();
  return useQuery({
    queryKey: ["payment-methods"],
    queryFn: async () => {
      const { items } = await take(api.GET("/v1/demo/payment-methods"));
      return items as readonly PaymentMethod[];
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
}
