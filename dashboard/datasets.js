// What is declared, and which chunks of it have bytes. A listing in the service stands behind every strip: only those that
// somebody sees are asked for, one after the other.
import { h, Rows, setText, svg } from './dom.js';
import { bytes, count, percent, plural } from './format.js';
import { More, Section } from './section.js';
import { askJson, Refusal } from './service.js';
import { Strip, states, tally } from './strip.js';

/** @typedef {import('./strip.js').Run} Run */

const shownAtFirst = 10;
/** More than these many runs of equal state are not asked for: a strip is no wider. */
const runsAtOnce = 1000;
const pagesMax = 2;

/**
 * @param {string} path
 * @param {number} chunks
 * @returns {Promise<Run[]>}
 */
async function runsOf(path, chunks) {
  /** @type {Run[]} */
  const runs = [];
  let after = '';
  for (let page = 0; page < pagesMax; page++) {
    const { items, next } = await askJson(`${path}/materialization?limit=${runsAtOnce}${after}`);
    runs.push(...items);
    if (next === null) return runs;
    after = `&after=${encodeURIComponent(next)}`;
  }
  return [...runs, { firstChunk: (runs.at(-1)?.lastChunk ?? -1) + 1, lastChunk: chunks - 1, state: 'unseen' }];
}

/**
 * What never changes of a dataset, in one line.
 * @param {any} dataset its definition
 */
export function definitionLine({ generator, version, input, events, chunkEvents, chunks }) {
  const made = input === undefined ? `${generator} ${version}` : `${generator} ${version}, derived from ${input}`;
  return `${made} · ${plural(events, 'event')} in ${plural(chunks, 'chunk')} of ${count(chunkEvents)}`;
}

/**
 * What a person should know before reading its events.
 * @param {any} dataset as it stands now
 */
export function tagsOf({ pinned, retired, inputs = [] }) {
  const isFromRetired = inputs.some((/** @type {any} */ input) => input.retired === true);
  return [pinned && 'pinned', retired && 'retired', isFromRetired && 'input retired'].filter(Boolean).join(', ');
}

class DatasetRow {
  isSeen = false;
  isBusy = false;
  #path = '';
  #name = h('strong');
  #tags = h('span', { class: 'tags' });
  #sum = h('span', { class: 'sum' });
  #strip = new Strip();
  #facts = h('p', { class: 'facts' });
  element = h('li', {}, h('p', { class: 'line' }, this.#name, this.#tags, this.#sum), this.#strip.element, this.#facts);

  /** @param {any} dataset its definition */
  update(dataset) {
    const { scope, name } = dataset;
    this.#path = `v1/datasets/${encodeURIComponent(scope)}/${encodeURIComponent(name)}`;
    setText(this.#name, `${scope}:${name}`);
    setText(this.#facts, definitionLine(dataset));
  }

  get isVisible() {
    const { top, bottom } = this.element.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  }

  async look() {
    try {
      const dataset = await askJson(this.#path);
      const { chunks, materializedChunks, materializedBytes } = dataset;
      const runs = await runsOf(this.#path, chunks);
      const sums = tally(runs);
      const failed = sums.get('failed') ?? 0;
      this.isBusy = sums.has('queued') || sums.has('generating');
      this.#strip.show(runs, chunks);
      const kept = `${count(materializedChunks)} of ${plural(chunks, 'chunk')} stored`;
      const said = [kept];
      if (materializedChunks > 0) said.push(percent(materializedChunks / chunks), bytes(materializedBytes));
      if (failed > 0) said.push(`${count(failed)} failed`);
      if (sums.has('unseen')) said.push('hatched: too scattered to be shown');
      setText(this.#sum, said.join(' · '));
      setText(this.#tags, tagsOf(dataset));
      this.isSeen = true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setText(this.#sum, error.message);
    }
  }
}

export class Datasets {
  #section = new Section('datasets');
  #more;
  #rows = new Rows(
    this.#section.part('.list'),
    (item) => `${item.scope}:${item.name}`,
    () => new DatasetRow(),
  );

  /** @param {() => void} onMore when more are to be shown */
  constructor(onMore) {
    for (const state of states) {
      const swatch = svg('svg', { class: 'swatch', 'aria-hidden': 'true' }, svg('rect', { fill: `url(#${state})` }));
      if (state !== 'unseen') this.#section.part('.legend').append(h('li', {}, swatch, state));
    }
    this.#more = new More(this.#section, shownAtFirst, onMore);
  }

  /** Whether a row came into sight that nothing is known of. */
  get isWaiting() {
    return [...this.#rows.all()].some((row) => !row.isSeen && row.isVisible);
  }

  /** Whether something is being made. */
  async look() {
    try {
      const { items, next } = await askJson(`v1/datasets?limit=${this.#more.shown}`);
      this.#rows.show(items);
      this.#more.offer(next !== null);
      const visible = [...this.#rows.all()].filter((row) => row.isVisible);
      for (const row of visible) await row.look();
      this.#section.fresh(items.length === 0);
      return visible.some((row) => row.isBusy);
    } catch (error) {
      this.#section.failed(error);
      throw error;
    }
  }
}
