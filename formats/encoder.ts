// Stored chunks in, one representation out: the encoder of each format that this build writes.
import { arrowEncoder } from './arrow-encoder.ts';
import type { Marshaller } from './marshaller.ts';
import { ndjsonEncoder } from './ndjson-encoder.ts';
import type { Format, FormatName, RangeEncoder, Selection } from './representation.ts';

const encoders: Readonly<Record<FormatName, (selection: Selection, marshaller: Marshaller) => RangeEncoder>> = {
  arrow: arrowEncoder,
  ndjson: ndjsonEncoder,
};

/**
 * An encoder for one answer. Its pieces fail with EvokeError CHUNK_DAMAGED, and with OVERLOADED only when the answer's first
 * piece has to wait for a marshalling thread and too many others wait already.
 */
export function createEncoder(format: Format, selection: Selection, marshaller: Marshaller): RangeEncoder {
  return encoders[format.name](selection, marshaller);
}
