import { type paths, take } from "@brandos/sdk";
import { Button, Skeleton } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, NavLink, useParams, useSearchParams } from "react-router";
import { formatMoney } from "../ui/money.ts";
import { sayProblem } from "../ui/problem.ts";
import { useShop } from "./shop-config.tsx";

/** A product as lists show it. */
export type Product =
  paths["/v1/products"]["get"]["responses"]["2XX"]["content"]["application/json"]["items"][number];

/** Products: all of them, a collection's, or those that were searched for. */
export function HomePage() {
  const { api, name } = useShop();
  const { collection } = useParams();
  const [params] = useSearchParams();
  const search = params.get("q") ?? undefined;
  const collections = useCollections();
  const chosen = collections.find(({ handle }) => handle === collection);
  const filter = { collection: chosen?.id, search };
  const products = useInfiniteQuery({
    queryKey: ["products", collection, search],
    enabled: collection === undefined || chosen !== undefined,
    queryFn: ({ pageParam }) => {
      const query = { ...filter, cursor: pageParam, limit: 24 };
      return take(api.GET("/v1/products", { params: { query } }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor,
  });
  const items = products.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div className="page">
      {!search && !chosen && (
        <section className="hero">
          <h1>{name}</h1>
          <p>Few things, made well. Have a look around.</p>
        </section>
      )}
      <nav className="collections" aria-label="Collections">
        <NavLink to="/" end>
          All
        </NavLink>
        {collections.map(({ id, handle, title }) => (
          <NavLink key={id} to={`/collections/${handle}`}>
            {title}
          </NavLink>
        ))}
      </nav>
      {(search || chosen) && (
        <h1 className="list-title">{chosen?.title ?? `Results for “${search}”`}</h1>
      )}
      {products.isError && <p role="alert">{sayProblem(products.error)}</p>}
      {products.isSuccess && items.length === 0 && (
        <div className="nothing">
          <strong>Nothing found</strong>
          <Link to="/">See everything</Link>
        </div>
      )}
      <ul className="grid">
        {products.isPending && !products.isError
          ? placeholders
          : items.map((product) => <Card key={product.id} product={product} />)}
      </ul>
      {products.hasNextPage && (
        <div className="more">
          <Button
            variant="default"
            loading={products.isFetchingNextPage}
            onClick={() => void products.fetchNextPage()}
          >
            Show more
          </Button>
        </div>
      )}
    </div>
  );
}

const placeholders = Array.from({ length: 8 }, (_, index) => (
  // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike
  <li key={index}>
    <Skeleton height={220} radius="lg" />
  </li>
));

function useCollections() {
  const { api, slug } = useShop();
  const query = useQuery({
    queryKey: ["collections", slug],
    queryFn: () => take(api.GET("/v1/collections", { params: { query: { limit: 50 } } })),
  });
  return query.data?.items ?? [];
}

function Card({ product }: { readonly product: Product }) {
  const { currency } = useShop();
  const picture = product.media[0];
  return (
    <li className="card">
      <Link to={`/products/${product.id}`}>
        {picture ? (
          <img
            className="card-image"
            src={picture.url}
            alt=""
            loading="lazy"
            width={320}
            height={320}
          />
        ) : (
          <div className="card-image" />
        )}
        <span className="card-title">{product.title}</span>
        <span className="card-price">{priceRange(product, currency)}</span>
      </Link>
    </li>
  );
}

/** What a product costs, from its cheapest variant on. */
function priceRange(product: Product, currency: string): string {
  const prices = product.variants.flatMap(({ prices: list }) =>
    list
      .filter((price) => price.currency === currency && price.minQuantity === 1)
      .map(({ amountMinor }) => amountMinor),
  );
  if (prices.length === 0) return "";
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  return `${low === high ? "" : "from "}${formatMoney(low, currency)}`;
}
