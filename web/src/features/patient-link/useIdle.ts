import { useEffect, useState } from "react";

const SIGNS = ["pointerdown", "keydown", "scroll", "touchstart"] as const;

/** True during the last `warn` milliseconds before `limit` without a touch or a key; then calls `end`. */
export function useIdle(limit: number, warn: number, end: () => void, enabled: boolean): boolean {
  const [warning, setWarning] = useState(false);
  useEffect(() => {
    if (!enabled) return undefined;
    let last = Date.now();
    const touch = (): void => {
      last = Date.now();
      setWarning(false);
    };
    // Timers sleep in background tabs: the clock is compared, not counted.
    const timer = setInterval(() => {
      const quiet = Date.now() - last;
      if (quiet >= limit) {
        setWarning(false);
        end();
      } else {
        setWarning(quiet >= limit - warn);
      }
    }, 1000);
    for (const sign of SIGNS) window.addEventListener(sign, touch, { passive: true, capture: true });
    return () => {
      clearInterval(timer);
      for (const sign of SIGNS) window.removeEventListener(sign, touch, { capture: true });
    };
  }, [limit, warn, end, enabled]);
  return warning && enabled;
}
