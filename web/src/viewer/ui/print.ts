/** Prints one viewport as it is drawn, with its overlay and measurements beside it. */
export function printPane(canvas: HTMLCanvasElement | null): void {
  const pane = canvas?.closest("section");
  if (canvas === null || pane == null) return;
  const frame = document.createElement("iframe");
  frame.setAttribute("aria-hidden", "true");
  frame.style.cssText = "position:fixed;inset:0;width:0;height:0;border:0;visibility:hidden";
  document.body.append(frame);
  const target = frame.contentDocument;
  const view = frame.contentWindow;
  if (target === null || view === null) return;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  for (const sheet of document.querySelectorAll("style, link[rel=stylesheet]"))
    target.head.append(sheet.cloneNode(true));
  const copy = pane.cloneNode(true) as HTMLElement;
  copy.style.cssText = `position:relative;width:${width}px;height:${height}px;background:#000;print-color-adjust:exact`;
  const picture = target.createElement("img");
  picture.src = canvas.toDataURL("image/png");
  picture.style.cssText = "width:100%;height:100%;display:block";
  copy.querySelector("canvas")?.replaceWith(picture);
  target.body.style.cssText = "margin:0;background:#fff";
  target.body.append(copy);
  const done = (): void => frame.remove();
  view.addEventListener("afterprint", done, { once: true });
  void picture.decode().then(() => view.print(), done);
}
