import type { Product } from "./contract.ts";

/** A product as it travels: plain JSON, its moments as texts. */
export type ProductAnswer = Omit<Product, "createdAt" | "updatedAt"> & {
  readonly createdAt: string;
  readonly updatedAt: string;
};

/** @param isShop leaves out what is not for sale any more */
export function productAnswer(product: Product, isShop: boolean): ProductAnswer {
  const { variants } = product;
  return {
    ...product,
    variants: isShop ? variants.filter(({ status }) => status === "active") : variants,
    createdAt: product.createdAt.toISOString(),
    updatedAt: product.updatedAt.toISOString(),
  };
}
