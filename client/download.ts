// Downloads a range of events into a file or a stream. A file appears under its name only when it is whole: until then it grows
// beside it, and the next download of the same goes on behind its last whole line or record batch.
import { realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import type { DatasetName } from '../core/dataset.ts';
import type { EventRange } from '../core/event-range.ts';
import { WrongAnswerError } from './errors.ts';
import { EvokeClient } from './http.ts';
import { PartFile } from './part-file.ts';
import { LinePieces, type PieceReader } from './pieces.ts';
import { defaultRetries, type RetryPolicy } from './retries.ts';
import { otherBytes, type Progress, type Target, transfer, type Wanted } from './transfer.ts';

export type DownloadFormat = 'arrow' | 'ndjson';

export interface Download {
  /** `http://127.0.0.1:8080` */
  readonly server: string;
  readonly token?: string | undefined;
  readonly dataset: DatasetName;
  readonly range: EventRange;
  readonly format: DownloadFormat;
  /** All of the dataset's, unless said. */
  readonly columns?: readonly string[] | undefined;
  /** A path, or a stream, which is not ended. */
  readonly to: string | Writable;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly retries?: RetryPolicy;
}

/**
 * @throws ServiceError, ConnectionError when tries have run out; WrongAnswerError when the answers are not what was asked for;
 * the signal's reason when it was aborted: what has arrived then stays for the next download.
 */
export async function download(what: Download): Promise<Progress> {
  const { readers, ending } = await forms[what.format]();
  const wanted: Wanted = {
    client: new EvokeClient(what.server, { token: what.token }),
    dataset: what.dataset,
    range: what.range,
    query: { format: what.format, ...(what.columns === undefined ? {} : { columns: what.columns }) },
    reader: readers,
    ending,
  };
  const options = {
    retries: what.retries ?? defaultRetries,
    random: Math.random,
    signal: what.signal,
    onProgress: what.onProgress,
  };
  if (typeof what.to !== 'string') return transfer(wanted, streamTarget(what.to), options);
  const part = new PartFile(await finalName(what.to));
  try {
    const outcome = await transfer(wanted, fileTarget(part, readers), options);
    await part.finish();
    return outcome;
  } catch (error) {
    // Wrong bytes are not worth going on with.
    if (error instanceof WrongAnswerError) await part.remove();
    throw error;
  } finally {
    await part.close();
  }
}

interface Form {
  readonly readers: (goesOn: boolean) => PieceReader;
  readonly ending: Buffer;
}

const forms: Readonly<Record<DownloadFormat, () => Promise<Form>>> = {
  ndjson: async () => ({ readers: () => new LinePieces(), ending: Buffer.alloc(0) }),
  // Loaded when it is needed: a line-by-line download need not wait for Arrow.
  arrow: async () => {
    const [{ ArrowPieces }, { endMarker }] = await Promise.all([
      import('./arrow-pieces.ts'),
      import('../formats/ipc.ts'),
    ]);
    return { readers: (goesOn) => new ArrowPieces(goesOn), ending: endMarker };
  },
};

/** The path behind a symbolic link, so that the link stays. @throws Error when the folder is none, or the path names one. */
async function finalName(path: string): Promise<string> {
  const file = await realpath(path).catch(() => resolve(path));
  const folder = await stat(dirname(file)).catch(() => undefined);
  if (!folder?.isDirectory()) throw new Error(`${dirname(path)} is not a folder.`);
  const existing = await stat(file).catch(() => undefined);
  if (existing?.isDirectory()) throw new Error(`${path} is a folder.`);
  return file;
}

function fileTarget(part: PartFile, readers: Form['readers']): Target {
  return {
    anyLeft: () => part.anyLeft(),
    begin: async (tag, see) => {
      await part.begin(tag);
      return part.resume(readers(false), see);
    },
    write: (bytes) => part.write(bytes),
    startOver: () => part.remove(),
  };
}

function streamTarget(stream: Writable): Target {
  let written = false;
  return {
    anyLeft: async () => false,
    begin: async () => ({ bytes: 0, events: 0, ended: false }),
    write: (bytes) => {
      written ||= bytes.length > 0;
      return writeAll(stream, bytes);
    },
    startOver: async () => {
      if (written) throw new WrongAnswerError(otherBytes);
    },
  };
}

function writeAll(stream: Writable, bytes: Buffer): Promise<void> {
  return new Promise((done, failed) => {
    stream.write(bytes, (error) => (error ? failed(error) : done()));
  });
}
