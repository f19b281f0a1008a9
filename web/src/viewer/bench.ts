import { closeAllSeries, holdSeries, releaseSeries } from "./cornerstone/series";
import { setUpCornerstone } from "./cornerstone/setup";

export interface BenchResult {
  images: number;
  seconds: number;
  firstImageMs: number;
  imagesPerSecond: number;
  megabytesPerSecond: number;
  bytes: number;
  transferSyntax: string;
}

/**
 * Loads and decodes every image of a series from a cold cache, over the same path that
 * the viewports use, and reports the speed. Nothing is drawn.
 */
export async function bench(studyUid: string, seriesUid: string, modality = "CT"): Promise<BenchResult> {
  setUpCornerstone();
  closeAllSeries();
  const started = performance.now();
  const series = await holdSeries({ studyUid, seriesUid, modality, images: 1 });
  try {
    const { frames } = series;
    await frames.image(0);
    const first = performance.now();
    await new Promise<void>((resolve, reject) => {
      const check = (): void => {
        const { state, code } = frames.progress();
        if (state === "complete") resolve();
        else if (state === "failed") reject(new Error(code ?? "viewer.load_failed"));
      };
      frames.subscribe(check);
      check();
    });
    const seconds = (performance.now() - started) / 1000;
    const { loaded, bytes } = frames.progress();
    return {
      images: loaded,
      seconds,
      firstImageMs: first - started,
      imagesPerSecond: loaded / seconds,
      megabytesPerSecond: bytes / 1e6 / seconds,
      bytes,
      transferSyntax: series.refs[0]?.transferSyntax ?? "",
    };
  } finally {
    releaseSeries(series);
    closeAllSeries();
  }
}

declare global {
  interface Window {
    __mingyingBench?: typeof bench;
  }
}
