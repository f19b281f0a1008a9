/**
 * Modalities whose pictures may be mirrored. Projection images can be taken from either
 * side and come mirrored from plate readers; cross sections never do, and mirroring one
 * invites a wrong-side reading (IHE BIR limits flip and rotate to CR and DX).
 */
const PROJECTION = new Set(["CR", "DX", "DR", "MG", "IO", "PX", "RF", "XA", "RG", "XC", "GM", "ES", "OP"]);

export function mayMirror(modality: string): boolean {
  return PROJECTION.has(modality);
}
