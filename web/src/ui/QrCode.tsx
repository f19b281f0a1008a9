import css from "./QrCode.module.css";

/**
 * An SVG that the server drew. It is shown as an image, where scripts inside would not run, and stays
 * black on white in the dark theme because scanners need it.
 */
export function QrCode({ svg, label, size = 200 }: { svg: string; label: string; size?: number }) {
  return <img className={css.qr} src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`} alt={label} width={size} height={size} />;
}
