/** One page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Position of the next page; missing on the last one. */
  readonly nextCursor?: string | undefined;
}

/**
 * All items of a list, page after page, as they are asked for.
 *
 * @param load asks for the page after a cursor
 */
export async function* iterate<Item>(
  load: (cursor: string | undefined) => Promise<Page<Item>>,
): AsyncGenerator<Item> {
  let cursor: string | undefined;
  do {
    const page = await load(cursor);
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}
