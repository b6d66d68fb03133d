import type { Page } from "../../kernel/page.ts";
import { ok, type Result } from "../../kernel/result.ts";
import {
  type BadCursor,
  type CursorScope,
  readCursor,
  signCursor,
} from "../../platform/http/cursor.ts";

/** What a caller asks of a list. */
export interface PageRequest {
  readonly limit?: number;
  readonly cursor?: string;
}

/** Answers one page of a list; its cursor is good for this list alone. */
export async function paged<Item>(
  scope: CursorScope,
  { limit = 20, cursor }: PageRequest,
  list: (after: string | undefined, limit: number) => Promise<Page<Item>>,
  bodyOf: (item: Item) => unknown,
): Promise<Result<{ readonly body: unknown }, BadCursor>> {
  const position = cursor === undefined ? ok([]) : readCursor(scope, cursor);
  if (!position.ok) return position;
  const [after] = position.value;
  const page = await list(after === undefined ? undefined : String(after), limit);
  const next =
    page.nextCursor === undefined ? {} : { nextCursor: signCursor(scope, [page.nextCursor]) };
  return ok({ body: { items: page.items.map(bodyOf), ...next } });
}
