import { url } from "@/api/client";

/** Opens a PDF of the server in its own tab; the session cookie goes with it. */
export function openPdf(path: string): void {
  window.open(url(path), "_blank", "noopener");
}
