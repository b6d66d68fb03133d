import { ActionIcon, Indicator, Select } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { Icon } from "../ui/Icon.tsx";
import { SchemeSwitch } from "../ui/SchemeSwitch.tsx";
import { CartDrawer } from "./CartDrawer.tsx";
import { useCart } from "./cart.tsx";
import { useShop } from "./shop-config.tsx";

/** The brand's name, search, currency and cart, on every page. */
export function Header() {
  const { name, currencies, currency, setCurrency } = useShop();
  const { cart, drawer } = useCart();
  const count = cart?.lines.reduce((sum, line) => sum + line.quantity, 0) ?? 0;
  return (
    <header className="head">
      <div className="head-inner">
        <Link to="/" className="brand">
          {name}
        </Link>
        <Search />
        <div className="row head-tools">
          {currencies.length > 1 && (
            <Select
              aria-label="Currency"
              data={[...currencies]}
              value={currency}
              onChange={(value) => value && setCurrency(value)}
              allowDeselect={false}
              w={84}
              size="xs"
            />
          )}
          <SchemeSwitch />
          <Indicator label={count} disabled={count === 0} size={17} color="var(--brand)">
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              aria-label={`Cart, ${count} ${count === 1 ? "item" : "items"}`}
              onClick={drawer.open}
            >
              <Icon name="cart" size={20} />
            </ActionIcon>
          </Indicator>
        </div>
      </div>
      <CartDrawer />
    </header>
  );
}

function Search() {
  const [params] = useSearchParams();
  const navigate = useNavigate();
  const [text, setText] = useState(params.get("q") ?? "");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void navigate(text.trim() ? `/?${new URLSearchParams({ q: text.trim() })}` : "/");
  };
  return (
    <search className="search">
      <form onSubmit={submit}>
        <Icon name="search" size={16} />
        <input
          type="search"
          aria-label="Search products"
          placeholder="Search"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </form>
    </search>
  );
}
