import { render } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { vi } from "vitest";
import { App } from "@/app/App";
import { resourcesFrom, startI18n } from "@/lib/i18n";
import { setPreferences } from "@/lib/preferences";
import { TestServer } from "./server";

let started = false;

/** The whole client at one address, in English, before a fresh stand-in server. */
export function renderApp(href: string, server = new TestServer()) {
  setPreferences({ language: "en-US", theme: "light" });
  if (!started) {
    startI18n(resourcesFrom(import.meta.glob(["../**/locales/*.json"], { eager: true, import: "default" })));
    started = true;
  }
  vi.stubGlobal("fetch", server.fetch);
  vi.stubGlobal(
    "EventSource",
    class {
      addEventListener() {}
      close() {}
    },
  );
  vi.stubGlobal("scrollTo", () => undefined);
  window.history.replaceState(null, "", href);
  const view = render(<App />);
  return { server, view, user: userEvent.setup() };
}
