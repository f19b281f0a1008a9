/**
 * The viewer: a session (what is shown, and every command on it), its looks, and the
 * series rail. It knows studies and series only; who the patient is and what is written
 * about the pictures comes from the page that shows it.
 */
export { Viewer } from "./ui/Viewer";
export type { OverlayCase } from "./ui/Overlay";
export { SeriesRail } from "./ui/SeriesRail";
export { MeasurementList, measurementSentence, measurementText } from "./ui/MeasurementList";
export { Icon } from "./ui/icons";
export { useMeasurements, useStore, useViewerSession } from "./session/useStore";
export type { Layout, PaneState, SeriesRef, ViewerSession, ViewState } from "./session/ViewerSession";
export type { Measurement } from "./cornerstone/measurements";
export { removeMeasurement, selectMeasurement } from "./cornerstone/measurements";
export { closeAllSeries } from "./cornerstone/series";
export { forgetThumbnails } from "./cornerstone/thumbnail";
export { bench, type BenchResult } from "./bench";
