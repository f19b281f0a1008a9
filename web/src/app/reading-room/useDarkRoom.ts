import { useEffect } from "react";
import { forceMode } from "@/lib/preferences";
import { sweepDrafts } from "@/features/reporting";
import { closeAllSeries, forgetThumbnails } from "@/viewer";

/** The reading room is dark whatever the reader chose elsewhere, and leaves no image behind. */
export function useDarkRoom(): void {
  useEffect(() => {
    forceMode("dark");
    sweepDrafts(localStorage, Date.now());
    return () => {
      forceMode(null);
      forgetThumbnails();
      closeAllSeries();
    };
  }, []);
}
