import { Button, Select, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { sayProblem } from "../ui/problem.ts";
import { type Cart, useCart } from "./cart.tsx";

const codes =
  "AT AU BE BG BR CA CH CZ DE DK EE ES FI FR GB GR HU ID IE IN IT JP KR LT LU LV MX NL NO NZ PL PT RO SE SG SI SK US";
const names = new Intl.DisplayNames(undefined, { type: "region" });
const countries = codes
  .split(" ")
  .map((value) => ({ value, label: names.of(value) ?? value }))
  .sort((a, b) => a.label.localeCompare(b.label));

const home: Readonly<Record<string, string>> = { EUR: "DE", USD: "US", JPY: "JP", GBP: "GB" };

const examples: Readonly<Record<string, readonly [string, string, string, string]>> = {
  DE: ["Lena Brandt", "Torstraße 12", "10119", "Berlin"],
  US: ["Sam Rivera", "120 Main Street", "97204", "Portland"],
  JP: ["Aoi Tanaka", "1-2-3 Jingumae", "150-0001", "Tokyo"],
};

interface Fields {
  readonly email: string;
  readonly name: string;
  readonly line1: string;
  readonly postalCode: string;
  readonly city: string;
  readonly region: string;
  readonly countryCode: string;
}

function fieldsOf(cart: Cart): Fields {
  const to = cart.shippingAddress;
  return {
    email: cart.email ?? "",
    name: to?.name ?? "",
    line1: to?.line1 ?? "",
    postalCode: to?.postalCode ?? "",
    city: to?.city ?? "",
    region: to?.region ?? "",
    countryCode: to?.countryCode ?? home[cart.currency] ?? "DE",
  };
}

interface AddressFormProps {
  readonly cart: Cart;
  readonly onSaved: () => void;
}

/** Asks whom and where to. */
export function AddressForm({ cart, onSaved }: AddressFormProps) {
  const { change, isChanging } = useCart();
  const [fields, setFields] = useState(() => fieldsOf(cart));
  const [problem, setProblem] = useState<string>();
  const put = (name: keyof Fields) => (event: { currentTarget: { value: string } }) =>
    setFields({ ...fields, [name]: event.currentTarget.value });
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const { email, region, ...address } = fields;
    const shippingAddress = { ...address, ...(region ? { region } : {}) };
    await change({ email, shippingAddress, shippingMethodId: null }).then(onSaved, (error) =>
      setProblem(sayProblem(error)),
    );
  };
  const fillIn = () => {
    const [name, line1, postalCode, city] = examples[fields.countryCode] ??
      examples["DE"] ?? ["", "", "", ""];
    const countryCode = examples[fields.countryCode] ? fields.countryCode : "DE";
    const region = countryCode === "US" ? "OR" : "";
    setFields({ email: "shopper@example.com", name, line1, postalCode, city, region, countryCode });
  };
  return (
    <form onSubmit={submit} className="stack">
      <div className="fields">
        <TextInput
          className="full"
          label="Email"
          type="email"
          autoComplete="email"
          required
          value={fields.email}
          onChange={put("email")}
        />
        <TextInput
          className="full"
          label="Name"
          autoComplete="name"
          required
          value={fields.name}
          onChange={put("name")}
        />
        <TextInput
          className="full"
          label="Street and number"
          autoComplete="address-line1"
          required
          value={fields.line1}
          onChange={put("line1")}
        />
        <TextInput
          label="Postal code"
          autoComplete="postal-code"
          required
          value={fields.postalCode}
          onChange={put("postalCode")}
        />
        <TextInput
          label="City"
          autoComplete="address-level2"
          required
          value={fields.city}
          onChange={put("city")}
        />
        <TextInput
          label="Region"
          autoComplete="address-level1"
          value={fields.region}
          onChange={put("region")}
        />
        <Select
          label="Country"
          data={countries}
          searchable
          allowDeselect={false}
          value={fields.countryCode}
          onChange={(value) => value && setFields({ ...fields, countryCode: value })}
        />
      </div>
      {problem && (
        <p className="said-bad" role="alert">
          {problem}
        </p>
      )}
      <div className="row">
        <Button type="submit" className="brand-button" size="md" loading={isChanging}>
          Continue
        </Button>
        <Button variant="subtle" color="gray" onClick={fillIn}>
          Fill in an example
        </Button>
      </div>
    </form>
  );
}
