import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { DisplayPage } from "@/features/display";
import { resourcesFrom, startI18n } from "@/lib/i18n";

export function mount(element: HTMLElement): void {
  startI18n(
    resourcesFrom(
      import.meta.glob(["../../features/display/locales/*.json", "../../api/locales/*.json"], {
        eager: true,
        import: "default",
      }),
    ),
  );
  const id = decodeURIComponent(window.location.pathname.split("/")[2] ?? "");
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  createRoot(element).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <DisplayPage id={id} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
