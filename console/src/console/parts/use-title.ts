import { useEffect } from "react";

/** Names the tab after the room. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Console`;
  }, [title]);
}
