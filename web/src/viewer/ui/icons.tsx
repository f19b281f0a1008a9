import type { ReactNode } from "react";

/** Line icons of the viewer's tools on a 20 x 20 grid; names are the tools'. */
const DRAWINGS = {
  scroll: <path d="M4 6h12M4 10h12M4 14h12M10 2v2.5M10 15.5V18" />,
  window: (
    <>
      <circle cx="10" cy="10" r="7" />
      <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" />
    </>
  ),
  zoom: (
    <>
      <circle cx="8.5" cy="8.5" r="5.5" />
      <path d="m13 13 4.5 4.5M6 8.5h5M8.5 6v5" />
    </>
  ),
  pan: (
    <path d="M10 2v16M2 10h16M7.5 4.5 10 2l2.5 2.5M7.5 15.5 10 18l2.5-2.5M4.5 7.5 2 10l2.5 2.5M15.5 7.5 18 10l-2.5 2.5" />
  ),
  length: <path d="M3.5 16.5l13-13M2 15l3 3M15 2l3 3" />,
  angle: <path d="M16.5 16.5H3.5L14 4M9 16.5a6 6 0 0 0-1.8-4.2" />,
  ellipse: <ellipse cx="10" cy="10" rx="7.5" ry="5.2" />,
  rectangle: <rect x="3" y="5" width="14" height="10" />,
  freehand: <path d="M4 13c-2-5 2-10 6-9 3 .7 3 3 6 3.5s2 6-1.5 8S5.5 17 4 13z" />,
  probe: (
    <>
      <circle cx="10" cy="10" r="2.2" />
      <path d="M10 2v4M10 14v4M2 10h4M14 10h4" />
    </>
  ),
  invert: (
    <>
      <rect x="3" y="3" width="14" height="14" rx="1" />
      <path d="M3 17 17 3v14z" fill="currentColor" />
    </>
  ),
  rotate: <path d="M15.5 6.5A7 7 0 1 0 17 10M16 2.5v4.2h-4.2" />,
  flip: <path d="M10 2v16M8 5 2.5 15H8zM12 5l5.5 10H12z" />,
  reset: <path d="M4.5 6.5A7 7 0 1 1 3 10M4 2.5v4.2h4.2" />,
  cine: <path d="M6 4l10 6-10 6z" />,
  stop: <rect x="5" y="5" width="10" height="10" />,
  lines: <path d="M3 3h14v14H3zM3 10h14M10 3v14" />,
  overlay: <path d="M3 4h5M3 7h3M12 4h5M14 7h3M3 13h3M3 16h5M14 13h3M12 16h5" />,
  one: <rect x="3" y="3" width="14" height="14" />,
  two: <path d="M3 3h14v14H3zM10 3v14" />,
  four: <path d="M3 3h14v14H3zM10 3v14M3 10h14" />,
  help: <path d="M7 7.5a3 3 0 1 1 4 2.8c-.7.3-1 .8-1 1.7M10 15v.5" />,
  bin: <path d="M4 6h12M8 6V4h4v2M5.5 6l1 11h7l1-11" />,
  print: <path d="M6 7V3h8v4M6 14H3V7h14v7h-3M6 12h8v5H6z" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof DRAWINGS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      width="20"
      height="20"
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinejoin="round"
      strokeLinecap="round"
      aria-hidden="true"
    >
      {DRAWINGS[name]}
    </svg>
  );
}
