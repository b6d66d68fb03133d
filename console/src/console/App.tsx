import { Center, Loader } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState } from "react";
import { Navigate, Route, Routes } from "react-router";
import { sayProblem } from "../ui/problem.ts";
import { ApiProvider } from "./api.tsx";
import { LiveProvider } from "./live.tsx";
import { Shell } from "./Shell.tsx";
import { SignIn } from "./SignIn.tsx";
import { type Account, signIn, takeKeyFromAddress, useSession } from "./session.ts";

const room = <Name extends string>(
  load: () => Promise<Record<Name, React.ComponentType>>,
  name: Name,
) => lazy(async () => ({ default: (await load())[name] }));

const OverviewRoom = room(() => import("./rooms/OverviewRoom.tsx"), "OverviewRoom");
const OrdersRoom = room(() => import("./rooms/OrdersRoom.tsx"), "OrdersRoom");
const OrderRoom = room(() => import("./rooms/OrderRoom.tsx"), "OrderRoom");
const CatalogRoom = room(() => import("./rooms/CatalogRoom.tsx"), "CatalogRoom");
const ProductRoom = room(() => import("./rooms/ProductRoom.tsx"), "ProductRoom");
const ImportRoom = room(() => import("./rooms/ImportRoom.tsx"), "ImportRoom");
const StockRoom = room(() => import("./rooms/StockRoom.tsx"), "StockRoom");
const CustomersRoom = room(() => import("./rooms/CustomersRoom.tsx"), "CustomersRoom");
const CustomerRoom = room(() => import("./rooms/CustomersRoom.tsx"), "CustomerRoom");
const PromotionsRoom = room(() => import("./rooms/PromotionsRoom.tsx"), "PromotionsRoom");
const PaymentsRoom = room(() => import("./rooms/PaymentsRoom.tsx"), "PaymentsRoom");
const LedgerRoom = room(() => import("./rooms/LedgerRoom.tsx"), "LedgerRoom");
const JobsRoom = room(() => import("./rooms/JobsRoom.tsx"), "JobsRoom");
const SagasRoom = room(() => import("./rooms/SagasRoom.tsx"), "SagasRoom");
const EventsRoom = room(() => import("./rooms/EventsRoom.tsx"), "EventsRoom");
const KeysRoom = room(() => import("./rooms/KeysRoom.tsx"), "KeysRoom");
const SettingsRoom = room(() => import("./rooms/SettingsRoom.tsx"), "SettingsRoom");
const TenantsRoom = room(() => import("./rooms/TenantsRoom.tsx"), "TenantsRoom");
const SystemRoom = room(() => import("./rooms/SystemRoom.tsx"), "SystemRoom");

/** The operators' console. */
export function App() {
  const [arrival, setArrival] = useState<"arriving" | "there" | { readonly refused: string }>(
    "arriving",
  );
  const { accounts, active } = useSession();
  const account = accounts[active];
  useArrival(setArrival);
  useForgettingOf(account);
  if (arrival === "arriving") return <Waiting />;
  if (!account)
    return <SignIn refused={typeof arrival === "object" ? arrival.refused : undefined} />;
  return (
    <ApiProvider account={account} key={`${account.key}/${account.tenantId}`}>
      {account.kind === "operator" && !account.tenantId ? (
        <Shell>
          <Suspense fallback={<Waiting />}>
            <OperatorRoutes />
          </Suspense>
        </Shell>
      ) : (
        <LiveProvider>
          <Shell>
            <Suspense fallback={<Waiting />}>
              <BrandRoutes />
            </Suspense>
          </Shell>
        </LiveProvider>
      )}
    </ApiProvider>
  );
}

/** Signs in with the key that came in the address, also when one arrives later. */
function useArrival(
  setArrival: (state: "there" | "arriving" | { readonly refused: string }) => void,
): void {
  useEffect(() => {
    const arrive = () => {
      const key = takeKeyFromAddress();
      if (key === undefined) return setArrival("there");
      setArrival("arriving");
      signIn(key).then(
        () => setArrival("there"),
        (error) => setArrival({ refused: sayProblem(error) }),
      );
    };
    arrive();
    addEventListener("hashchange", arrive);
    return () => removeEventListener("hashchange", arrive);
  }, [setArrival]);
}

/** One brand's answers are never shown for another. */
function useForgettingOf(account: Account | undefined): void {
  const queries = useQueryClient();
  const identity = `${account?.key}/${account?.tenantId}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs at each change of the account
  useEffect(() => () => queries.clear(), [queries, identity]);
}

function BrandRoutes() {
  return (
    <Routes>
      <Route index element={<OverviewRoom />} />
      <Route path="orders" element={<OrdersRoom />} />
      <Route path="orders/:id" element={<OrderRoom />} />
      <Route path="catalog" element={<CatalogRoom />} />
      <Route path="catalog/import" element={<ImportRoom />} />
      <Route path="catalog/:id" element={<ProductRoom />} />
      <Route path="stock" element={<StockRoom />} />
      <Route path="customers" element={<CustomersRoom />} />
      <Route path="customers/:id" element={<CustomerRoom />} />
      <Route path="promotions" element={<PromotionsRoom />} />
      <Route path="payments" element={<PaymentsRoom />} />
      <Route path="ledger" element={<LedgerRoom />} />
      <Route path="jobs" element={<JobsRoom />} />
      <Route path="sagas" element={<SagasRoom />} />
      <Route path="events" element={<EventsRoom />} />
      <Route path="keys" element={<KeysRoom />} />
      <Route path="settings" element={<SettingsRoom />} />
      <Route path="system" element={<SystemRoom />} />
      <Route path="*" element={<Navigate to="/" replace />} />
    </Routes>
  );
}

function OperatorRoutes() {
  return (
    <Routes>
      <Route path="tenants" element={<TenantsRoom />} />
      <Route path="system" element={<SystemRoom />} />
      <Route path="*" element={<Navigate to="/tenants" replace />} />
    </Routes>
  );
}

function Waiting() {
  return (
    <Center mih="40vh">
      <Loader size="sm" aria-label="Loading" />
    </Center>
  );
}
