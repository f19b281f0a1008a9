import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import { sessionQuery } from "@/api/session";
import { homeFor } from "./modes";
import { RouteFailure, RouteMissing, RoutePending } from "./RouteStates";
import { safeNext } from "./safeNext";
import { Shell } from "./Shell";

interface RouterContext {
  queries: QueryClient;
}

/** Search parameters are strings or absent; each page reads those it knows. */
type Search = Record<string, string | undefined>;
const strings = (search: Record<string, unknown>): Search => {
  const result: Search = {};
  for (const [key, value] of Object.entries(search)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") result[key] = String(value);
  }
  return result;
};

const root = createRootRouteWithContext<RouterContext>()({ validateSearch: strings });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  beforeLoad: async ({ context, search }) => {
    const session = await context.queries.ensureQueryData(sessionQuery).catch(() => null);
    if (session) throw redirect({ href: safeNext(search["next"]) ?? homeFor(session.actions) });
  },
  component: lazyRouteComponent(() => import("@/features/session"), "LoginPage"),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  beforeLoad: async ({ context, location }) => {
    const session = await context.queries.ensureQueryData(sessionQuery);
    if (!session) {
      const next = location.href === "/" ? undefined : location.href;
      throw redirect({ to: "/login", search: { next } });
    }
  },
  component: Shell,
});

const home = createRoute({
  getParentRoute: () => shell,
  path: "/",
  beforeLoad: ({ context }) => {
    const session = context.queries.getQueryData(sessionQuery.queryKey);
    throw redirect({ href: homeFor(session?.actions ?? []) });
  },
});

const page = <P extends string>(path: P, load: () => Promise<Record<string, unknown>>, name: string) =>
  createRoute({
    getParentRoute: () => shell,
    path,
    component: lazyRouteComponent(load as () => Promise<Record<string, never>>, name),
  });

const routes = root.addChildren([
  login,
  shell.addChildren([
    home,
    page("/desk", () => import("./desk"), "TodayPage"),
    page("/desk/visit", () => import("./desk"), "VisitPage"),
    page("/desk/calendar", () => import("./desk"), "CalendarPage"),
    page("/patients/$patientId", () => import("./desk"), "PatientRecordPage"),
    page("/orders/$orderId", () => import("./desk"), "OrderPage"),
    page("/orders/$orderId/report", () => import("./desk"), "ReportPage"),
    page("/orders/$orderId/timeline", () => import("@/features/timeline"), "TimelinePage"),
    page("/queue", () => import("@/features/flow"), "QueuePage"),
    page("/exam", () => import("./exam-room"), "ExamRoomPage"),
    page("/reading", () => import("@/features/reading"), "ReadingListPage"),
    page("/reading/$orderId", () => import("./reading-room"), "ReadingRoomPage"),
    page("/phrases", () => import("@/features/reporting"), "PhrasesPage"),
    page("/phrases/templates", () => import("@/features/reporting"), "TemplatesPage"),
    page("/viewer/bench", () => import("./reading-room"), "ViewerBenchPage"),
    // A query, not a path: a UID has dots, and paths with dots are files to the server.
    page("/viewer", () => import("./reading-room"), "StudyViewerPage"),
    page("/unmatched", () => import("./reading-room"), "UnmatchedPage"),
    page("/interfaces", () => import("@/features/admin"), "InterfacesPage"),
    page("/interfaces/$tab", () => import("@/features/admin"), "InterfacesPage"),
    page("/admin", () => import("@/features/admin"), "AdminPage"),
    page("/admin/$tab", () => import("@/features/admin"), "AdminPage"),
    page("/profile", () => import("@/features/session"), "ProfilePage"),
    // What no page answers to, within the shell: the way on is at hand.
    page("$", () => import("./RouteStates"), "RouteMissing"),
  ]),
]);

export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree: routes,
    context: { queries },
    defaultPreload: "intent",
    defaultPendingMs: 100,
    defaultPendingComponent: RoutePending,
    defaultErrorComponent: RouteFailure,
    defaultNotFoundComponent: RouteMissing,
    scrollRestoration: true,
    // Plain `?a=b`: every value is a string, so links can be written by hand.
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch: (search) => {
      const parameters = new URLSearchParams();
      for (const [key, value] of Object.entries(search)) {
        if (value !== undefined && value !== null && value !== "") parameters.set(key, String(value));
      }
      const text = parameters.toString();
      return text === "" ? "" : `?${text}`;
    },
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
