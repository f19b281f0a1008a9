import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { resourcesFrom, startI18n } from "@/lib/i18n";
import { App } from "./App";

export function mount(element: HTMLElement): void {
  startI18n(
    resourcesFrom(
      import.meta.glob(
        [
          "../features/*/locales/*.json",
          "../viewer/locales/*.json",
          "../ui/locales/*.json",
          "../api/locales/*.json",
          "./locales/*.json",
          "./*/locales/*.json",
          "!../features/patient-link/**",
        ],
        { eager: true, import: "default" },
      ),
    ),
  );
  createRoot(element).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
