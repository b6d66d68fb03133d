import { createClient, ProblemError, take } from "@brandos/sdk";
import { useSyncExternalStore } from "react";

/** Whom a key stands for. */
export interface Account {
  readonly key: string;
  readonly kind: "brand" | "operator";
  /** Brand acted for; an operator may act for one. */
  readonly tenantId?: string;
  readonly slug?: string;
  readonly name: string;
  readonly currency?: string;
}

/** The keys this tab knows, and the one in use. */
export interface Session {
  readonly accounts: readonly Account[];
  readonly active: number;
}

const place = "brandos.console.session";
const nobody: Session = { accounts: [], active: 0 };
const listeners = new Set<() => void>();
let session: Session = read();

function read(): Session {
  try {
    const stored = sessionStorage.getItem(place);
    return stored ? (JSON.parse(stored) as Session) : nobody;
  } catch {
    return nobody; // Storage is off, or holds something else: sign in again.
  }
}

function save(next: Session): void {
  session = next;
  try {
    sessionStorage.setItem(place, JSON.stringify(next));
  } catch {
    // Storage is off: the session lives as long as the page.
  }
  for (const listener of listeners) listener();
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The session, as it is now. */
export function useSession(): Session {
  return useSyncExternalStore(listen, () => session);
}

/** Uses another of the known keys. */
export function switchTo(index: number): void {
  save({ ...session, active: index });
}

/** Forgets every key. */
export function signOut(): void {
  save(nobody);
}

/** Finds out whom a key stands for. @throws ProblemError for a key that opens nothing here */
export async function identify(key: string): Promise<Account> {
  // Keys of brands say what they are; what an operator's key looks like is the operator's choice.
  const [first, second] = key.startsWith("sk_")
    ? [identifyBrand, identifyOperator]
    : [identifyOperator, identifyBrand];
  try {
    return await first(key);
  } catch (error) {
    if (!(error instanceof ProblemError) || error.status !== 403) throw error;
    return second(key);
  }
}

async function identifyBrand(key: string): Promise<Account> {
  const client = createClient({ key, baseUrl: location.origin });
  const tenant = await take(client.GET("/v1/tenant", {}));
  return {
    key,
    kind: "brand",
    tenantId: tenant.id,
    slug: tenant.slug,
    name: tenant.name,
    currency: tenant.defaultCurrency,
  };
}

async function identifyOperator(key: string): Promise<Account> {
  const client = createClient({ key, baseUrl: location.origin });
  await take(client.GET("/v1/tenants", { params: { query: { limit: 1 } } }));
  return { key, kind: "operator", name: "Operator" };
}

/** Signs in with a key; one that is known already is taken into use. */
export async function signIn(key: string): Promise<void> {
  const account = await identify(key.trim());
  addAccount(account);
}

/** Takes an account into use, and remembers it. */
export function addAccount(account: Account): void {
  const others = session.accounts.filter(
    (known) => known.key !== account.key || known.tenantId !== account.tenantId,
  );
  save({ accounts: [...others, account], active: others.length });
}

/** Takes `#key=…` out of the address bar. @returns the key, if there is one */
export function takeKeyFromAddress(): string | undefined {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key === null) return undefined;
  history.replaceState(history.state, "", location.pathname + location.search);
  return key;
}
