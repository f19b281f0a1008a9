import { useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useEffect, useRef, useSyncExternalStore } from "react";
import { API } from "./client";
import type { LiveEvent } from "./types";

/**
 * One `EventSource` for the whole page. Browsers allow six HTTP/1.1 connections to a host; a stream
 * for each hook would use them up and stop every other request.
 */
export type LiveState = "idle" | "connecting" | "open" | "lost";
type Listener = (event: LiveEvent) => void;

/** Waits before a new connection: quick at first, never above 8 s. */
export function reconnectDelay(attempt: number): number {
  return Math.min(8000, 500 * 2 ** Math.min(attempt, 4));
}

const listeners = new Set<Listener>();
const stateListeners = new Set<() => void>();
let state: LiveState = "idle";
let source: EventSource | null = null;
let timer: ReturnType<typeof setTimeout> | null = null;
let attempt = 0;
let missed = false;

function setState(next: LiveState): void {
  if (state === next) return;
  state = next;
  for (const listener of stateListeners) listener();
}

/** What screens are told after a gap: they cannot know what they missed and load again. */
const GAP: LiveEvent = { topic: "*", subject_kind: "", subject_id: "", case_id: null, own: false, for_me: null };

function publish(event: LiveEvent): void {
  for (const listener of [...listeners]) listener(event);
}

function connect(): void {
  if (source !== null || listeners.size === 0) return;
  setState(missed ? "lost" : "connecting");
  const opened = new EventSource(`${API}/live`);
  source = opened;
  opened.onopen = () => {
    attempt = 0;
    setState("open");
    if (missed) publish(GAP);
    missed = false;
  };
  opened.addEventListener("changed", (message: MessageEvent<string>) => {
    try {
      publish(JSON.parse(message.data) as LiveEvent);
    } catch {
      publish(GAP);
    }
  });
  // The server tells when it had to drop events for a slow listener.
  opened.addEventListener("lagged", () => publish(GAP));
  opened.onerror = () => {
    // The browser's own retry stops for good on an HTTP error, so we always do it ourselves.
    opened.close();
    if (source !== opened) return;
    source = null;
    missed = true;
    setState("lost");
    timer = setTimeout(() => {
      timer = null;
      connect();
    }, reconnectDelay(attempt++));
  };
}

function disconnect(): void {
  source?.close();
  source = null;
  if (timer !== null) clearTimeout(timer);
  timer = null;
  attempt = 0;
  missed = false;
  setState("idle");
}

/** Listens to everything; returns the way to stop. */
export function listen(listener: Listener): () => void {
  listeners.add(listener);
  connect();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) disconnect();
  };
}

/** `order` matches `order.created`; `*` in either place matches everything. */
export function topicMatches(topics: readonly string[], topic: string): boolean {
  return topic === "*" || topics.some((wanted) => wanted === "*" || topic === wanted || topic.startsWith(`${wanted}.`));
}

/**
 * Calls `onChange` for events of these topics (prefixes such as `order` or `queue.called`), and once
 * with topic `*` after a lost connection came back. A list of query keys instead of a function
 * invalidates those queries. Bursts are gathered for 150 ms.
 */
export function useLive(topics: readonly string[], onChange: ((event: LiveEvent) => void) | readonly QueryKey[]): void {
  const queries = useQueryClient();
  const current = useRef(onChange);
  useEffect(() => {
    current.current = onChange;
  });
  const wanted = topics.join(" ");
  useEffect(() => {
    const list = wanted.split(" ");
    let pending: ReturnType<typeof setTimeout> | null = null;
    const stop = listen((event) => {
      if (!topicMatches(list, event.topic)) return;
      const target = current.current;
      if (typeof target === "function") {
        target(event);
        return;
      }
      pending ??= setTimeout(() => {
        pending = null;
        const keys = current.current;
        if (typeof keys === "function") return;
        for (const queryKey of keys) void queries.invalidateQueries({ queryKey });
      }, 150);
    });
    return () => {
      if (pending !== null) clearTimeout(pending);
      stop();
    };
  }, [wanted, queries]);
}

export function useLiveState(): LiveState {
  return useSyncExternalStore(
    (listener) => {
      stateListeners.add(listener);
      return () => stateListeners.delete(listener);
    },
    () => state,
  );
}
