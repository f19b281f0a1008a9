import { queryOptions, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { setZone } from "@/lib/time";
import { api, setCsrf } from "./client";
import { asProblem, Problem } from "./problem";
import type { Directory, Session } from "./types";

/** `null` means: nobody is signed in. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }): Promise<Session | null> => {
    try {
      const session = await api.get<Session>("/session", { signal });
      setCsrf(session.csrf);
      return session;
    } catch (error) {
      if (asProblem(error).status === 401) return null;
      throw error;
    }
  },
  staleTime: Infinity,
  gcTime: Infinity,
  retry: false,
});

export const directoryQuery = queryOptions({
  queryKey: ["directory"],
  queryFn: async ({ signal }) => {
    const directory = await api.get<Directory>("/directory", { signal });
    setZone(directory.zone);
    return directory;
  },
  staleTime: 10 * 60_000,
  gcTime: Infinity,
});

/**
 * The signed-in session; screens below the shell can rely on it. Between the end of a session and the
 * way to the sign-in page a screen that is still shown keeps the one it knew.
 */
export function useSession(): Session {
  const { data } = useQuery(sessionQuery);
  const [known, setKnown] = useState(data ?? null);
  if (data && data !== known) setKnown(data);
  const session = data ?? known;
  if (!session) throw new Problem({ status: 401, code: "session.missing" });
  return session;
}

export function useDirectory(): Directory | undefined {
  return useQuery(directoryQuery).data;
}

/** True when the policy allows the signed-in user at least one of the actions. */
export function useMay(): (...actions: string[]) => boolean {
  const { data } = useQuery(sessionQuery);
  return (...actions) => actions.some((action) => data?.actions.includes(action) ?? false);
}
