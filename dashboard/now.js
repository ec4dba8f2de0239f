// The figures of this moment: hits, misses, queue, workers, each with its last minutes.
import { h, setText, svg } from './dom.js';
import { count, percent, plural } from './format.js';
import { growth } from './metrics.js';
import { Section } from './section.js';

/** @typedef {import('./metrics.js').Counts} Counts */

const samplesMax = 90;
const sparkHeight = 28;

class Figure {
  /** @type {number[]} */
  #samples = [];
  #value = h('dd', { class: 'value' }, '–');
  #detail = h('dd', { class: 'detail' }, '\u00a0');
  #path = svg('path');

  /** @param {string} name @param {string} id */
  constructor(name, id) {
    const viewBox = `0 0 ${samplesMax} ${sparkHeight}`;
    const spark = svg('svg', { viewBox, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.#path);
    this.element = h('div', { id }, h('dt', {}, name), this.#value, this.#detail, h('dd', { class: 'spark' }, spark));
  }

  /** What nobody can tell stays as it was, and is marked. @param {number | undefined} sample @param {string} value @param {string} detail */
  show(sample, value, detail) {
    this.element.toggleAttribute('data-stale', sample === undefined);
    if (sample === undefined) return;
    setText(this.#value, value);
    setText(this.#detail, detail);
    this.#samples.push(sample);
    if (this.#samples.length > samplesMax) this.#samples.shift();
    this.#path.setAttribute('d', sparkOf(this.#samples));
  }
}

/**
 * Columns from the right, the highest as high as there is room.
 * @param {readonly number[]} samples
 */
export function sparkOf(samples) {
  const most = Math.max(1, ...samples);
  return samples
    .map((value, i) => {
      const high = (value / most) * sparkHeight;
      return high === 0 ? '' : `M${samplesMax - samples.length + i} ${sparkHeight}v${-high}h0.8v${high}z`;
    })
    .join('');
}

export class Now {
  #section = new Section('now');
  #hits = new Figure('Hits', 'hits');
  #misses = new Figure('Misses', 'misses');
  #queue = new Figure('Queue', 'queue');
  #threads = new Figure('Threads', 'threads');
  /** @type {Counts | undefined} */
  #before;

  constructor() {
    const figures = [this.#hits, this.#misses, this.#queue, this.#threads];
    this.#section.part('dl').append(...figures.map(({ element }) => element));
  }

  /** @param {Counts} counts */
  show(counts) {
    const { hit, joined, generated, queued = 0, generating, workers = 0, busy, threads = 0 } = counts;
    const missed = joined + generated;
    const before = this.#before ?? counts;
    this.#before = counts;
    const all = hit + missed;
    const ratio = all === 0 ? 'no chunk was asked for yet' : `${percent(hit / all)} of chunks asked for`;
    this.#hits.show(growth(before.hit, hit), count(hit), ratio);
    const made = `${count(generated)} generated, ${count(joined)} joined`;
    this.#misses.show(growth(before.joined + before.generated, missed), count(missed), made);
    const ordered = generating === undefined ? undefined : queued + generating;
    this.#queue.show(ordered, count(ordered ?? 0), `${count(queued)} waiting, ${count(generating ?? 0)} being made`);
    this.#threads.show(busy, `${count(busy ?? 0)} of ${count(threads)}`, `busy, in ${plural(workers, 'worker')}`);
    this.#section.fresh();
  }

  /** @param {unknown} error */
  failed(error) {
    this.#section.failed(error);
  }
}
