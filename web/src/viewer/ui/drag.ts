import type { SeriesRef } from "../session/ViewerSession";

const TYPE = "application/x-mingying-series";

export function writeDraggedSeries(transfer: DataTransfer, ref: SeriesRef): void {
  transfer.setData(TYPE, JSON.stringify(ref));
  transfer.effectAllowed = "copy";
}

export function readDraggedSeries(transfer: DataTransfer): SeriesRef | null {
  const text = transfer.getData(TYPE);
  if (text === "") return null;
  try {
    return JSON.parse(text) as SeriesRef;
  } catch {
    return null;
  }
}
