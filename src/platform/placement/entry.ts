import type { TenantId } from "../../kernel/ids.ts";
import type { Placement } from "../db/db.ts";

/** How a tenant's rows are kept apart from others': row-level security is on in all three. */
export type IsolationStyle =
  /** Rows in the schema all pool tenants share. */
  | "pool"
  /** A schema of its own. */
  | "bridge"
  /** A database of its own. */
  | "silo";

/** Whether a placement may be used. */
export type PlacementState = "preparing" | "active" | "erasing";

/** Where a tenant's rows are, as the directory has it. */
export interface DirectoryEntry extends Placement {
  readonly tenantId: TenantId;
  readonly style: IsolationStyle;
  /** Grows with each move. */
  readonly epoch: number;
  readonly state: PlacementState;
}
