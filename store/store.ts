// The contract of a materialization store: named objects, whole or absent. Every backend passes the suite in
// test/store/conformance.ts; every wrapper keeps this same interface and adds one concern.

/** What is known of an object without reading it. */
export interface ObjectInfo {
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since the epoch, by the store's own clock; an object store may tell whole seconds only, rounded down. */
  readonly modifiedAtMs: number;
}

/** Which bytes of an object. */
export type ByteSpan = { readonly start: number; readonly end: number } | { readonly last: number };

/**
 * Names are `/`-separated segments of `A-Z a-z 0-9 _ . -` that do not begin with a dot; a name is never also a folder.
 * Any method may fail with EvokeError STORE_UNAVAILABLE (retryable: down, timed out, no space); nothing else is thrown
 * but by `verifying`, whose `get` throws CHUNK_DAMAGED for an object that it has put into quarantine.
 */
export interface Store {
  /** For logs and the operator; no secrets. */
  readonly description: string;

  /**
   * The whole object, or undefined when there is none. The bytes belong to the store and may be shared between callers:
   * nobody writes into them or moves them to a thread.
   */
  get(name: string): Promise<Buffer | undefined>;

  /**
   * Bytes [start, end) of the object, fewer where it is shorter; with `last`, so many from its end. Not verified: for the
   * trailer of a chunk or the footer of a file. The bytes are the caller's.
   */
  getRange(name: string, range: ByteSpan): Promise<Buffer | undefined>;

  head(name: string): Promise<ObjectInfo | undefined>;

  /**
   * Stores the concatenation of `parts` under the name. When it returns, the object is durable and readers see all of it;
   * if it throws, they see what was there before, or (a server that never answered may have taken it) all of the new.
   * Concurrent puts: one of them wins, whole.
   * With `ifAbsent` an existing object stays as it is. Returns whether this call's bytes are the ones stored.
   */
  put(name: string, parts: readonly Uint8Array[], options?: { ifAbsent?: boolean }): Promise<boolean>;

  /** Returns whether there was something to delete. */
  delete(name: string): Promise<boolean>;

  /**
   * Up to `limit` (default and maximum 1000) objects whose name begins with `prefix` (ends with `/` or is empty), sorted by name
   * in byte order, after the name `after`. A page shorter than the limit is the last. Unfinished writes are never listed.
   * A page that goes on where another ended may miss what another process added in the seconds between them.
   */
  list(prefix: string, options?: { after?: string; limit?: number }): Promise<ObjectInfo[]>;

  close(): Promise<void>;
}

/** A store as it is opened: what wraps it need not know how writes are interrupted. */
export interface StoreBackend extends Store {
  /**
   * Removes writes that were never finished and are older than this; returns how many. `chooses` is given the name of each
   * (that of the object where the backend knows it) and says whether it is to go: all of them, unless it is given.
   */
  removeLeftovers(olderThanMs: number, chooses?: (name: string) => boolean): Promise<number>;
}

export const listLimitMax = 1000;
