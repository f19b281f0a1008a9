import "./ui/base.css";
import { resolvedMode } from "./lib/preferences";
import { applyMode } from "./ui/tokens";

/*
 * One document serves three bundles. The patient's page and the wall display load nothing of the
 * staff's shell, so the path decides before anything else is fetched.
 */
applyMode(resolvedMode());

const root = document.getElementById("root");
const { pathname } = window.location;

async function start(element: HTMLElement): Promise<void> {
  if (pathname.startsWith("/p/")) (await import("./app/standalone/patient")).mount(element);
  else if (pathname.startsWith("/display/")) (await import("./app/standalone/display")).mount(element);
  else (await import("./app/shell-entry")).mount(element);
}

if (root) void start(root);
