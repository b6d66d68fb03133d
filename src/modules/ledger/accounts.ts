import { fail, ok, type Result } from "../../kernel/result.ts";
import type { TenantTx } from "../../platform/db/db.ts";
import { sql } from "../../platform/db/sql.ts";
import type { Account, AccountFailure } from "./contract.ts";
import { isAccountCode, isCurrencyCode } from "./journal.ts";

/**
 * Opens accounts inside the caller's transaction; one that is open already with the same kind and
 * floor is left alone.
 */
export async function openAccounts(
  tx: TenantTx,
  accounts: readonly Account[],
): Promise<Result<readonly Account[], AccountFailure>> {
  for (const { code, currency, floorMinor } of accounts) {
    const sound = isAccountCode(code) && isCurrencyCode(currency);
    if (!sound || !Number.isSafeInteger(floorMinor ?? 0)) {
      return fail({ code: "ledger.bad_account", account: code });
    }
  }
  const codes = accounts.map((account) => account.code);
  const currencies = accounts.map((account) => account.currency);
  tx.write(sql("ledger.open_accounts")`
    insert into ledger_accounts (tenant_id, code, currency, kind, floor_minor)
    select ${tx.tenantId}, a.* from unnest(${codes}::text[], ${currencies}::text[],
      ${accounts.map((account) => account.kind)}::text[],
      ${accounts.map((account) => account.floorMinor ?? null)}::bigint[])
      a(code, currency, kind, floor_minor)
    order by a.code, a.currency
    on conflict do nothing`);
  const rows = await tx.rows<AccountRow>(sql("ledger.opened_accounts")`
    select code, currency, kind, floor_minor as "floorMinor" from ledger_accounts
    where tenant_id = ${tx.tenantId}
      and (code, currency) in (select * from unnest(${codes}::text[], ${currencies}::text[]))`);
  const open = new Map(rows.map((row) => [`${row.code} ${row.currency}`, row]));
  const other = accounts.find((account) => {
    const row = open.get(`${account.code} ${account.currency}`);
    return row?.kind !== account.kind || row.floorMinor !== (account.floorMinor ?? null);
  });
  if (other) return fail({ code: "ledger.account_differs", account: other.code });
  return ok(accounts);
}

interface AccountRow extends Omit<Account, "floorMinor"> {
  readonly floorMinor: number | null;
}
