import { ProblemError, type paths, take } from "@brandos/sdk";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from "react";
import { newId } from "../ui/ids.ts";
import { useShop } from "./shop-config.tsx";

/** A cart with its prices. */
export type Cart =
  paths["/v1/carts/{id}"]["get"]["responses"]["2XX"]["content"]["application/json"];

/** What may be changed of a cart. */
export type CartChange = NonNullable<
  paths["/v1/carts/{id}"]["patch"]["requestBody"]
>["content"]["application/json"];

interface CartHandle {
  readonly cart: Cart | undefined;
  readonly isChanging: boolean;
  /** Why the last change did not work. */
  readonly problem: unknown;
  add(variantId: string, quantity: number): Promise<unknown>;
  setQuantity(variantId: string, quantity: number): Promise<unknown>;
  change(change: CartChange): Promise<Cart>;
  /** Reads the cart again, after a checkout that did not go through. */
  reload(): Promise<unknown>;
  /** Begins with an empty one, after an order. */
  forget(): void;
  /** Takes a cart up again that is open after all: its payment was declined. */
  adopt(id: string): void;
  readonly drawer: { readonly opened: boolean; open(): void; close(): void };
}

const CartContext = createContext<CartHandle | undefined>(undefined);

/** The shopper's cart. */
export function useCart(): CartHandle {
  const cart = useContext(CartContext);
  if (!cart) throw new Error("outside of CartProvider");
  return cart;
}

/** Where the id of the cart is kept, per brand and currency. */
function useStoredId(place: string) {
  const [id, setId] = useState(() => localStorage.getItem(place) ?? undefined);
  const store = useCallback(
    (next: string | undefined) => {
      if (next === undefined) localStorage.removeItem(place);
      else localStorage.setItem(place, next);
      setId(next);
    },
    [place],
  );
  return [id, store] as const;
}

/** Keeps the cart: on the server, found again by its id. */
export function CartProvider({ children }: { readonly children: ReactNode }) {
  const { api, slug, currency } = useShop();
  const queries = useQueryClient();
  const [id, setId] = useStoredId(`brandos.cart.${slug}.${currency}`);
  const [opened, setOpened] = useState(false);
  const query = useQuery({
    queryKey: ["cart", id],
    enabled: id !== undefined,
    queryFn: async () => {
      try {
        const cart = await take(api.GET("/v1/carts/{id}", { params: { path: { id: id ?? "" } } }));
        if (cart.status === "open") return cart;
      } catch (error) {
        if (!(error instanceof ProblemError) || error.status !== 404) throw error;
      }
      setId(undefined); // Ordered elsewhere, or gone with the server's data.
      return null;
    },
  });
  const update = useMutation({
    mutationFn: (work: () => Promise<Cart>) => work(),
    onSuccess: (cart) => {
      queries.setQueryData(["cart", cart.id], cart);
      setId(cart.id);
    },
  });
  const { mutateAsync } = update;
  const cart = query.data ?? undefined;
  const handle = useMemo(() => {
    const path = { params: { path: { id: id ?? "" } } };
    const line = (variantId: string) => ({ params: { path: { id: id ?? "", variantId } } });
    return {
      add: (variantId: string, quantity: number) =>
        mutateAsync(() =>
          id === undefined
            ? take(
                api.POST("/v1/carts", {
                  body: { id: newId(), currency, lines: [{ variantId, quantity }] },
                }),
              )
            : take(api.POST("/v1/carts/{id}/lines", { ...path, body: { variantId, quantity } })),
        ),
      setQuantity: (variantId: string, quantity: number) =>
        mutateAsync(() =>
          quantity > 0
            ? take(
                api.PUT("/v1/carts/{id}/lines/{variantId}", {
                  ...line(variantId),
                  body: { quantity },
                }),
              )
            : take(api.DELETE("/v1/carts/{id}/lines/{variantId}", line(variantId))),
        ),
      change: (body: CartChange) =>
        mutateAsync(() => take(api.PATCH("/v1/carts/{id}", { ...path, body }))),
    };
  }, [api, id, currency, mutateAsync]);
  const value: CartHandle = {
    ...handle,
    cart,
    isChanging: update.isPending,
    problem: update.error,
    reload: () => query.refetch(),
    forget: () => setId(undefined),
    adopt: setId,
    drawer: { opened, open: () => setOpened(true), close: () => setOpened(false) },
  };
  return <CartContext value={value}>{children}</CartContext>;
}
