import { cache, getRenderingCapabilities, getShouldUseCPURendering, init as initCore } from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import { init as initTools } from "@cornerstonejs/tools";
import { registerFrameLoader } from "./loader";
import { registerTools } from "./tools";

const MIB = 1024 * 1024;

/**
 * What decoded images may take. Browsers do not give memory back and weak machines die
 * of it, so the bound is explicit: an eighth of the machine's memory, 256 MiB to 1 GiB.
 */
export function cacheBudget(deviceMemoryGib: number | undefined): number {
  const eighth = ((deviceMemoryGib ?? 4) * 1024 * MIB) / 8;
  return Math.min(1024 * MIB, Math.max(256 * MIB, eighth));
}

/** Decoders run beside the page: one core stays free for it. */
export function decodeWorkers(cores: number | undefined): number {
  return Math.min(6, Math.max(1, (cores ?? 2) - 1));
}

let ready = false;

/** Starts Cornerstone once for the page. */
export function setUpCornerstone(): void {
  if (ready) return;
  ready = true;
  // A software rasterizer draws WebGL slower than the plain canvas path, so it isn't used.
  const { webgl, softwareRasterizer } = getRenderingCapabilities();
  initCore({
    isMobile: matchMedia("(pointer: coarse)").matches,
    rendering: { useCPURendering: !webgl || softwareRasterizer },
  } as Parameters<typeof initCore>[0]);
  initLoader({ maxWebWorkers: decodeWorkers(navigator.hardwareConcurrency) });
  initTools();
  registerFrameLoader();
  registerTools();
  const memory = (navigator as Navigator & { deviceMemory?: number }).deviceMemory;
  cache.setMaxCacheSize(cacheBudget(memory));
}

export function drawsOnCpu(): boolean {
  return getShouldUseCPURendering();
}
