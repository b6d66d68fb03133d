/** Strokes of the icons, in a box of 24 by 24. */
const strokes = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM14 7h6V4h-6zM4 20h6v-3H4z",
  orders: "M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6",
  catalog: "M3 7l9-4 9 4v10l-9 4-9-4zM3 7l9 4 9-4M12 11v10",
  stock: "M4 20V9l8-5 8 5v11M8 20v-7h8v7M8 16h8",
  customers:
    "M16 20v-1a4 4 0 0 0-8 0v1M12 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M20 20v-1a4 4 0 0 0-3-3.8",
  promotions: "M12 3h8v8l-9 9-8-8zM16 8h.01",
  payments: "M3 6h18v12H3zM3 10h18M7 15h3",
  ledger: "M5 3h14v18H5zM9 3v18M12 8h4M12 12h4",
  jobs: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  sagas: "M5 5h5v5H5zM14 14h5v5h-5zM10 7.5h4a2.5 2.5 0 0 1 2.5 2.5v4",
  events: "M3 12h4l3-8 4 16 3-8h4",
  keys: "M15 9a4 4 0 1 0-3.6 4L13 15h2v2h2v2h3v-3l-5.5-5.4A4 4 0 0 0 15 9M10 9h.01",
  settings:
    "M4 7h10M18 7h2M4 17h2M10 17h10M14 7a2 2 0 1 0 4 0 2 2 0 1 0-4 0M6 17a2 2 0 1 0 4 0 2 2 0 1 0-4 0",
  tenants: "M3 20h18M5 20V8l7-4 7 4v12M9 12h2M13 12h2M9 16h2M13 16h2",
  system: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M20 20l-4-4",
  cart: "M3 4h2l2.4 11h10L20 7H6M9 20h.01M17 20h.01",
  close: "M6 6l12 12M18 6L6 18",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  down: "M6 9l6 6 6-6",
  check: "M5 12l5 5 9-10",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5L19 19M19 5l-1.5 1.5M6.500 17.5L5 19",
  moon: "M20 14.500A8.500 8.500 0 1 1 9.500 4a7 7 0 0 0 10.500 10.500",
  system_scheme: "M3 5h18v11H3zM9 20h6M12 16v4",
  menu: "M4 7h16M4 12h16M4 17h16",
  out: "M14 4h6v16h-6M10 8l-4 4 4 4M6 12h10",
  external: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  refresh: "M20 11a8 8 0 0 0-14-4L4 9M4 4v5h5M4 13a8 8 0 0 0 14 4l2-2M20 20v-5h-5",
  request: "M4 12h14M13 7l5 5-5 5",
  transaction:
    "M12 4c4.400 0 8 1.300 8 3s-3.600 3-8 3-8-1.300-8-3 3.600-3 8-3M4 7v10c0 1.700 3.600 3 8 3s8-1.300 8-3V7",
} as const;

/** Names of the icons. */
export type IconName = keyof typeof strokes;

/** A line icon in the colour of the text; says nothing to screen readers. */
export function Icon({ name, size = 18 }: { readonly name: IconName; readonly size?: number }) {
  return (
    <svg
      aria-hidden="true"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.7"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      <path d={strokes[name]} />
    </svg>
  );
}
