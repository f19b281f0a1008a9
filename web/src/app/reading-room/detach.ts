import { useCallback, useEffect, useRef, useState } from "react";

/** What the room and its report window say to each other. */
type Word = { kind: "insert"; sentence: string } | { kind: "here" } | { kind: "gone" } | { kind: "close" };

function channelOf(orderId: string): BroadcastChannel {
  return new BroadcastChannel(`mingying.report.${orderId}`);
}

/** In the room: whether the report is open in its own window, and the way to write into it. */
export function useDetached(orderId: string): {
  detached: boolean;
  detach: () => void;
  bringBack: () => void;
  insert: (sentence: string) => void;
} {
  const [detached, setDetached] = useState(false);
  const channel = useRef<BroadcastChannel | null>(null);
  useEffect(() => {
    const opened = channelOf(orderId);
    channel.current = opened;
    opened.onmessage = ({ data }: MessageEvent<Word>) => {
      if (data.kind === "here") setDetached(true);
      if (data.kind === "gone") setDetached(false);
    };
    return () => {
      opened.postMessage({ kind: "close" } satisfies Word);
      opened.close();
      channel.current = null;
      setDetached(false);
    };
  }, [orderId]);
  const say = useCallback((word: Word) => channel.current?.postMessage(word), []);
  return {
    detached,
    detach: () => {
      const url = new URL(window.location.href);
      url.search = "?pane=report";
      if (window.open(url.href, `mingying-report-${orderId}`, "popup,width=620,height=900") !== null) setDetached(true);
    },
    bringBack: () => {
      say({ kind: "close" });
      setDetached(false);
    },
    insert: (sentence) => say({ kind: "insert", sentence }),
  };
}

/** In the report's own window. */
export function useReportWindow(orderId: string, enabled: boolean, insert: (sentence: string) => void): void {
  const write = useRef(insert);
  useEffect(() => {
    write.current = insert;
  });
  useEffect(() => {
    if (!enabled) return undefined;
    const channel = channelOf(orderId);
    channel.postMessage({ kind: "here" } satisfies Word);
    channel.onmessage = ({ data }: MessageEvent<Word>) => {
      if (data.kind === "insert") write.current(data.sentence);
      if (data.kind === "close") window.close();
    };
    const gone = (): void => channel.postMessage({ kind: "gone" } satisfies Word);
    window.addEventListener("pagehide", gone);
    return () => {
      window.removeEventListener("pagehide", gone);
      gone();
      channel.close();
    };
  }, [orderId, enabled]);
}
