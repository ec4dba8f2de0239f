// The stored chunks as they lie on the disk: looked at, spoilt, and watched where they must not go.
import { copyFile, readdir, readFile, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fault } from './fault-plan.ts';
import type { DatasetModel, Model } from './model.ts';

/** A chunk that was stored when the pin had been acknowledged for so long stays: by then no eviction is still under way. */
const settledMs = 20_000;

export class StoredChunks {
  readonly #folder: string;
  /** Keys of all that were ever spoilt. */
  readonly #spoilt = new Set<string>();
  /** By name of the pinned dataset: the keys that were there at the last look, and when that was. */
  readonly #kept = new Map<string, { readonly keys: readonly string[]; readonly sinceMs: number }>();

  /** `folder`: of the store. */
  constructor(folder: string) {
    this.#folder = join(folder, 'chunks');
  }

  get spoilt(): ReadonlySet<string> {
    return this.#spoilt;
  }

  /** Keys, `<derivation>/<batchEvents>/<first>-<last>`, sorted. */
  async keys(): Promise<string[]> {
    const entries = await readdir(this.#folder, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isFile() && entry.name.endsWith('.arrows'))
      .map((entry) => join(entry.parentPath, entry.name).slice(this.#folder.length + 1, -'.arrows'.length))
      .sort();
  }

  /** Says what was done. */
  async damage({ how, which, where }: Fault & { kind: 'damage' }): Promise<string> {
    const keys = await this.keys();
    const index = Math.floor((keys.length * which) / 10_000);
    const key = keys[index];
    if (key === undefined) return 'nothing is stored';
    this.#spoilt.add(key);
    const file = this.#file(key);
    const other = this.#file(keys[(index + 1) % keys.length] ?? key);
    try {
      const bytes = await readFile(file);
      const at = Math.min(Math.floor((bytes.length * where) / 10_000), bytes.length - 1);
      if (how === 'flip') {
        bytes[at] = (bytes[at] ?? 0) ^ 0x20;
        await writeFile(file, bytes, { flag: 'r+' });
      } else if (how === 'cut') await truncate(file, at);
      else if (how === 'empty') await truncate(file, 0);
      else if (how === 'delete') await unlink(file);
      else if (how === 'neighbour') await copyFile(other, file);
      else await writeFile(file, 'EVK1', { flag: 'a' });
      return `${how} ${key}${how === 'flip' || how === 'cut' ? ` at ${at}` : ''}`;
    } catch (error) {
      // Evicted meanwhile, or there is no space for it.
      return `${how} ${key}: ${String(error)}`;
    }
  }

  /** What is gone of datasets that are pinned; to be called again and again. */
  async missingFromPinned(model: Model): Promise<string[]> {
    const now = Date.now();
    const stored = new Set(await this.keys());
    const missing: string[] = [];
    for (const dataset of model.datasets) {
      const name = dataset.fullName;
      const before = this.#kept.get(name);
      const isPinned = dataset.pinned.during(now, settledMs) === 'yes';
      // Unpinned in between, and pinned again: what was there before does not count.
      const isSteady = before !== undefined && dataset.pinned.during(before.sinceMs, settledMs) === 'yes';
      if (isPinned && isSteady) {
        missing.push(
          ...before.keys.filter((key) => !stored.has(key) && !this.#spoilt.has(key)).map((key) => `${name}: ${key}`),
        );
      }
      if (isPinned) this.#kept.set(name, { keys: ofDataset(dataset, stored), sinceMs: now });
      else this.#kept.delete(name);
    }
    return missing;
  }

  #file(key: string): string {
    return join(this.#folder, `${key}.arrows`);
  }
}

function ofDataset({ truth }: DatasetModel, keys: ReadonlySet<string>): string[] {
  return [...keys].filter((key) => key.startsWith(`${truth.derivationId}/${truth.grid.batchEvents}/`));
}
