/** One page of a list, and where the next one begins. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Opaque position after the last item; absent on the last page. */
  readonly nextCursor?: string;
}
