import { useEffect, useRef } from "react";

/** Keys and what they do, as the help of `?` shows them. */
export interface KeyGroup {
  title: string;
  rows: readonly (readonly [keys: readonly string[], does: string])[];
}

const shown = new Set<{ readonly current: KeyGroup }>();

/** Puts a page's keys into the help while the page is shown. */
export function useKeyHelp(group: KeyGroup): void {
  const latest = useRef(group);
  useEffect(() => {
    latest.current = group;
  });
  useEffect(() => {
    shown.add(latest);
    return () => {
      shown.delete(latest);
    };
  }, []);
}

/** The keys of what is open now, the page's own first. */
export function keyGroups(): KeyGroup[] {
  return [...shown].map(({ current }) => current).reverse();
}
