import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { PatientPage } from "@/features/patient-link";
import { resourcesFrom, startI18n } from "@/lib/i18n";

export function mount(element: HTMLElement): void {
  startI18n(
    resourcesFrom(
      import.meta.glob(["../../features/patient-link/locales/*.json", "../../api/locales/*.json"], {
        eager: true,
        import: "default",
      }),
    ),
  );
  const token = decodeURIComponent(window.location.pathname.split("/")[2] ?? "");
  createRoot(element).render(
    <StrictMode>
      <PatientPage token={token} />
    </StrictMode>,
  );
}
