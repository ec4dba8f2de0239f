// Makes a store, or the filesystem below one, fail where a test wants it, and watches what is asked of it.
import { EvokeError } from '../../core/errors.ts';
import type { FileLayer } from '../../store/file-layer.ts';
import type { ObjectInfo, Store } from '../../store/store.ts';

export type Operation = 'get' | 'head' | 'put' | 'delete' | 'list';

/** Asked before every operation: throws to make it fail, waits to make it slow, counts, or does nothing. */
export type Fault = (operation: Operation, name: string) => void | Promise<void>;

/** The store with a fault in front of every operation. */
export function failing(store: Store, fault: Fault): Store {
  return {
    description: `failing ${store.description}`,
    async get(name): Promise<Buffer | undefined> {
      await fault('get', name);
      return store.get(name);
    },
    async getRange(name, range): Promise<Buffer | undefined> {
      await fault('get', name);
      return store.getRange(name, range);
    },
    async head(name): Promise<ObjectInfo | undefined> {
      await fault('head', name);
      return store.head(name);
    },
    async put(name, parts, options): Promise<boolean> {
      await fault('put', name);
      return store.put(name, parts, options);
    },
    async delete(name): Promise<boolean> {
      await fault('delete', name);
      return store.delete(name);
    },
    async list(prefix, options): Promise<ObjectInfo[]> {
      await fault('list', prefix);
      return store.list(prefix, options);
    },
    close: () => store.close(),
  };
}

/** Counts operations, and fails all of them while `down`. */
export function watched(store: Store) {
  const calls: string[] = [];
  const state = { down: false };
  const wrapped = failing(store, (operation, name) => {
    calls.push(`${operation} ${name}`);
    if (state.down) throw unavailable();
  });
  return { store: wrapped, calls, state };
}

export function unavailable(): EvokeError {
  return new EvokeError('STORE_UNAVAILABLE', { detail: 'The store cannot be reached: a test says so.' });
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: a test says so`), { code });
}

/** A step of the filesystem, `write` and `close` of a new file among them, with the path it works on. */
export type Step = (step: string, path: string) => void;

/** The filesystem with a look, or a failure, before every step. */
export function faultyFiles(files: FileLayer, before: Step): FileLayer {
  const watch =
    <A extends readonly [string, ...string[]], T>(step: string, work: (...paths: A) => Promise<T>) =>
    async (...paths: A): Promise<T> => {
      before(step, paths.at(-1) ?? '');
      return work(...paths);
    };
  return {
    makeFolder: watch('makeFolder', files.makeFolder),
    async create(path) {
      before('create', path);
      const file = await files.create(path);
      return {
        async write(bytes) {
          // Half of it gets through, as on a disk that fills up.
          const half = Math.floor(bytes.length / 2);
          await file.write(bytes.subarray(0, half));
          before('write', path);
          await file.write(bytes.subarray(half));
        },
        async info() {
          before('length', path);
          return file.info();
        },
        async sync() {
          before('sync', path);
          await file.sync();
        },
        async close() {
          // Closed in any case: a test that leaves files open runs out of them.
          await file.close();
          before('close', path);
        },
      };
    },
    read: watch('read', files.read),
    async readRange(path, range) {
      before('read', path);
      return files.readRange(path, range);
    },
    info: watch('info', files.info),
    list: watch('list', files.list),
    rename: watch('rename', files.rename),
    link: watch('link', files.link),
    remove: watch('remove', files.remove),
    syncFolder: watch('syncFolder', files.syncFolder),
  };
}
