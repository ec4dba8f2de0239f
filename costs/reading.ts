// What reading a stored chunk takes: opening, reading and verifying it, and what a disk and a SHA-256 manage together. Orders
// of magnitude, for people and for choosing.

const secondsPerChunk = 0.001;
const bytesPerSecond = 400e6;

/** Wall seconds, one chunk after the other. */
export function readingSeconds({ chunks, bytes }: { readonly chunks: number; readonly bytes: number }): number {
  return chunks * secondsPerChunk + bytes / bytesPerSecond;
}
