// A store in a folder: an object's name is its path. An object appears whole and durable or not at all, at any crash: it is
// written under a hidden name in the same folder, checked, synced and renamed, and then the folder is synced.
// Needs hard links (conditional creation), so not every network or FAT filesystem will do.
import { randomUUID } from 'node:crypto';
import { dirname, join, relative, resolve } from 'node:path';
import { LRUCache } from 'lru-cache';
import { firstThat } from '../core/bisect.ts';
import { systemCode } from '../core/errors.ts';
import { type FileInfo, type FileLayer, nodeFiles } from './file-layer.ts';
import { checkName, checkPrefix, isSegment, nameBytesMax } from './names.ts';
import { type ByteSpan, listLimitMax, type ObjectInfo, type StoreBackend } from './store.ts';
import { unavailable } from './unavailable.ts';

/** Short, because the names of objects may be as long as the filesystem allows. */
const unfinished = /^\.[0-9a-f-]{36}\.part$/;

/** Folders known to be durable: one call to the system less for every put. */
const foldersMax = 10_000;

/** Folders whose names are remembered between two pages of a listing, so that a long one is not read again for every page. */
const listingsMax = 4;
/** What other processes add meanwhile may be missing from a listing that began before, but not for longer than this. */
const listingMsMax = 5_000;

export class FsStore implements StoreBackend {
  readonly description: string;
  readonly #root: string;
  readonly #files: FileLayer;
  readonly #folders = new LRUCache<string, Promise<void>>({ max: foldersMax });
  /** By the name that a page ended with: the folder that the next page goes on in. */
  readonly #listings = new LRUCache<string, Listing>({ max: listingsMax, ttl: listingMsMax });

  constructor(folder: string, files: FileLayer = nodeFiles) {
    this.#root = resolve(folder);
    this.#files = files;
    this.description = `file:${this.#root}`;
  }

  async get(name: string): Promise<Buffer | undefined> {
    const path = this.#path(name);
    try {
      return await this.#files.read(path);
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw unavailable(error, 'read');
    }
  }

  async getRange(name: string, range: ByteSpan): Promise<Buffer | undefined> {
    const path = this.#path(name);
    try {
      return await this.#files.readRange(path, range);
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw unavailable(error, 'read');
    }
  }

  async head(name: string): Promise<ObjectInfo | undefined> {
    const path = this.#path(name);
    try {
      const { bytes, modifiedAtMs, isFile } = await this.#files.info(path);
      return isFile ? { name, bytes, modifiedAtMs } : undefined;
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw unavailable(error, 'read');
    }
  }

  async put(name: string, parts: readonly Uint8Array[], options: { ifAbsent?: boolean } = {}): Promise<boolean> {
    const path = this.#path(name);
    const temporary = temporaryName(path);
    try {
      const { fileId } = await this.#write(temporary, parts);
      if (options.ifAbsent === true) return await this.#create(temporary, path, fileId);
      await this.#replace(temporary, path, fileId);
      return true;
    } catch (error) {
      await this.#discard(temporary);
      throw unavailable(error, 'write');
    } finally {
      this.#listings.clear();
    }
  }

  /**
   * The folder is not synced: a deletion that a crash undoes brings back a chunk (the same bytes for ever) or a pin
   * (which keeps too much), and neither is wrong.
   */
  async delete(name: string): Promise<boolean> {
    const path = this.#path(name);
    try {
      await this.#files.remove(path);
      return true;
    } catch (error) {
      if (isAbsence(error)) return false;
      throw unavailable(error, 'delete');
    }
  }

  async list(prefix: string, options: { after?: string; limit?: number } = {}): Promise<ObjectInfo[]> {
    checkPrefix(prefix);
    const limit = Math.min(options.limit ?? listLimitMax, listLimitMax);
    const page: ObjectInfo[] = [];
    if (limit < 1) return page;
    try {
      let names: string[] = [];
      const take = async () => {
        // What was removed since its folder was read is absent, and does not make the page a short one.
        const found = await Promise.all(names.map((name) => this.head(name)));
        page.push(...found.filter((info) => info !== undefined));
        names = [];
      };
      for await (const { name, listing } of this.#names(prefix, options.after ?? '')) {
        names.push(name);
        if (page.length + names.length === limit) await take();
        if (page.length === limit) {
          this.#listings.set(name, listing);
          return page;
        }
      }
      await take();
      return page;
    } catch (error) {
      throw unavailable(error, 'list');
    }
  }

  async close(): Promise<void> {}

  /**
   * Removes what writers that died have left, when it was last written more than `olderThanMs` ago: choose that longer than
   * any write takes. Returns how many files.
   */
  async removeLeftovers(olderThanMs: number, chooses: (name: string) => boolean = () => true): Promise<number> {
    try {
      return await this.#removeLeftovers(this.#root, Date.now() - olderThanMs, chooses);
    } catch (error) {
      throw unavailable(error, 'delete');
    }
  }

  #path(name: string): string {
    checkName(name);
    return join(this.#root, name);
  }

  async #write(path: string, parts: readonly Uint8Array[]): Promise<FileInfo> {
    const file = await this.#createIn(dirname(path), path);
    try {
      for (const part of parts) await file.write(part);
      const info = await file.info();
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      if (info.bytes !== bytes) {
        throw Object.assign(new Error(`EIO: ${info.bytes} of ${bytes} bytes were written`), { code: 'EIO' });
      }
      await file.sync();
      return info;
    } finally {
      await file.close();
    }
  }

  async #createIn(folder: string, path: string) {
    await this.#durableFolder(folder);
    try {
      return await this.#files.create(path);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      // Somebody tidied the empty folder away.
      this.#folders.delete(folder);
      await this.#durableFolder(folder);
      return this.#files.create(path);
    }
  }

  /** Makes the folder, and sees to it that a crash does not take it away again together with what is in it. */
  #durableFolder(folder: string): Promise<void> {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    const making = this.#makeFolder(folder);
    this.#folders.set(folder, making);
    making.catch(() => {
      if (this.#folders.get(folder) === making) this.#folders.delete(folder);
    });
    return making;
  }

  async #makeFolder(folder: string): Promise<void> {
    const made = await this.#files.makeFolder(folder);
    // Down from the store's own folder always: another process may have made these a moment ago and not synced them yet.
    const top = made !== undefined && made.length <= this.#root.length ? dirname(made) : this.#root;
    for (let at = folder; at !== top; at = dirname(at)) await this.#files.syncFolder(dirname(at));
  }

  async #create(temporary: string, path: string, fileId: number): Promise<boolean> {
    const folder = dirname(path);
    try {
      await this.#files.link(temporary, path);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      // Whoever was faster may not have come to this yet, and the caller takes its object for durable.
      await this.#files.syncFolder(folder);
      await this.#discard(temporary);
      return false;
    }
    try {
      await this.#files.syncFolder(folder);
    } catch (error) {
      if (await this.#isFile(path, fileId)) await this.#files.remove(path);
      throw error;
    }
    await this.#discard(temporary);
    return true;
  }

  async #replace(temporary: string, path: string, fileId: number): Promise<void> {
    const previous = temporaryName(path);
    const replaces = await this.#keep(path, previous);
    try {
      await this.#files.rename(temporary, path);
      await this.#files.syncFolder(dirname(path));
    } catch (error) {
      // Readers see what was there before, unless somebody else's put has won meanwhile.
      if (await this.#isFile(path, fileId)) {
        await (replaces ? this.#files.rename(previous, path) : this.#files.remove(path));
      }
      throw error;
    } finally {
      if (replaces) await this.#discard(previous);
    }
  }

  /** Gives what has this name a second one. False when there is nothing. */
  async #keep(path: string, second: string): Promise<boolean> {
    try {
      await this.#files.link(path, second);
      return true;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  async #isFile(path: string, fileId: number): Promise<boolean> {
    return this.#files.info(path).then(
      (info) => info.fileId === fileId,
      () => false,
    );
  }

  /** What cannot be removed now is left for removeLeftovers: nobody sees it. */
  async #discard(temporary: string): Promise<void> {
    await this.#files.remove(temporary).catch(() => undefined);
  }

  /** Names of objects after `after`, in byte order, reading no folder that lies wholly before it. */
  async *#names(prefix: string, after: string): AsyncGenerator<{ name: string; listing: Listing }> {
    const listing = await this.#listing(prefix, after);
    const { entries } = listing;
    const next = firstThat(entries, (entry) => prefix + entry > after);
    // Only the entry just before can be a folder that `after` lies in.
    for (let i = Math.max(0, next - 1); i < entries.length; i++) {
      const entry = entries[i] as string;
      const name = prefix + entry;
      if (!entry.endsWith('/')) {
        if (name > after) yield { name, listing };
      } else if (name.length <= nameBytesMax && (name > after || after.startsWith(name))) {
        yield* this.#names(name, after);
      }
    }
  }

  /** What a folder holds, the names of folders with their `/`: sorted like this, whole names are in order too. */
  async #listing(prefix: string, after: string): Promise<Listing> {
    const known = this.#listings.get(after);
    if (known?.prefix === prefix) return known;
    try {
      const found = await this.#files.list(join(this.#root, prefix));
      const entries = found
        .filter((entry) => isSegment(entry.name))
        .map((entry) => (entry.kind === 'folder' ? `${entry.name}/` : entry.name))
        .sort();
      return { prefix, entries };
    } catch (error) {
      if (isAbsence(error)) return { prefix, entries: [] };
      throw error;
    }
  }

  async #removeLeftovers(folder: string, beforeMs: number, chooses: (name: string) => boolean): Promise<number> {
    let removed = 0;
    const entries = await this.#files.list(folder).catch((error: unknown) => {
      if (isAbsence(error)) return [];
      throw unavailable(error, 'list');
    });
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.kind === 'folder') {
        if (isSegment(entry.name) && path.length <= this.#root.length + nameBytesMax) {
          removed += await this.#removeLeftovers(path, beforeMs, chooses);
        }
      } else if (unfinished.test(entry.name)) {
        const info = await this.#files.info(path).catch(absentAs(undefined));
        if (info === undefined || info.modifiedAtMs > beforeMs || !chooses(relative(this.#root, path))) continue;
        await this.#files.remove(path).catch(absentAs(undefined));
        removed++;
      }
    }
    return removed;
  }
}

interface Listing {
  readonly prefix: string;
  readonly entries: readonly string[];
}

function temporaryName(path: string): string {
  return join(dirname(path), `.${randomUUID()}.part`);
}

/** A folder where an object was looked for, or a file where a folder was, means that the object is not there. */
function isAbsence(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(systemCode(error) ?? '');
}

function absentAs<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (isAbsence(error)) return value;
    throw error;
  };
}
