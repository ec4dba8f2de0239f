// A strip shows which chunks of a dataset have bytes, however many there are: as many columns as fit, each filled by the
// share of its chunks in each state. A state that is there at all is seen.

import { svg } from './dom.js';
import { count, plural } from './format.js';

/**
 * @typedef {'materialized' | 'fossil' | 'generating' | 'queued' | 'failed' | 'virtual' | 'unseen'} State
 *
 * @typedef {object} Run of chunks in one state, both ends included
 * @property {number} firstChunk
 * @property {number} lastChunk
 * @property {State} state
 */

/** As they lie in a column, from the bottom; what is virtual is the ground. `unseen` is what the page did not ask about. */
const layers = /** @type {const} */ (['materialized', 'fossil', 'generating', 'queued', 'failed', 'unseen']);
/** @type {readonly State[]} */
export const states = [...layers.slice(0, 5), 'virtual', 'unseen'];

const height = 24;
const leastHeight = height / layers.length;
/** Columns at least this wide are parted by a gap: they are single chunks. */
const gapFrom = 5;
const columnWidthMin = 2;

/**
 * @param {readonly Run[]} runs
 * @returns {Map<State, number>} chunks in each state
 */
export function tally(runs) {
  const sums = new Map();
  for (const { firstChunk, lastChunk, state } of runs) {
    sums.set(state, (sums.get(state) ?? 0) + lastChunk - firstChunk + 1);
  }
  return sums;
}

/**
 * Shares of each state in each column; the columns begin and end at whole chunks. Takes time for runs and columns, not for
 * chunks.
 * @param {readonly Run[]} runs in order
 * @param {number} chunks
 * @param {number} columns at most `chunks`
 * @returns {Map<State, number>[]}
 */
export function sharesOf(runs, chunks, columns) {
  const shares = Array.from({ length: columns }, () => new Map());
  /** @param {number} column */
  const beginOf = (column) => (column >= columns ? chunks : Math.floor(column * (chunks / columns)));
  let at = 0;
  for (const { firstChunk, lastChunk, state } of runs) {
    while (at < columns - 1 && beginOf(at + 1) <= firstChunk) at++;
    for (; at < columns; at++) {
      const [begin, end] = [beginOf(at), beginOf(at + 1)];
      const within = Math.min(lastChunk + 1, end) - Math.max(firstChunk, begin);
      const column = shares[at];
      if (within > 0) column?.set(state, (column.get(state) ?? 0) + within / (end - begin));
      if (end > lastChunk) break;
    }
  }
  return shares;
}

/**
 * Heights of the layers of one column, at most `height` together, none that is there too low to be seen.
 * @param {ReadonlyMap<State, number>} share
 * @returns {[State, number][]}
 */
export function heightsOf(share) {
  /** @type {[State, number][]} */
  const found = [];
  for (const state of layers) {
    const part = share.get(state);
    if (part !== undefined) found.push([state, Math.max(leastHeight, Math.min(1, part) * height)]);
  }
  let excess = found.reduce((sum, [, h]) => sum + h, 0) - height;
  for (const layer of found.sort(([, a], [, b]) => b - a)) {
    const less = Math.min(Math.max(0, excess), layer[1] - leastHeight);
    layer[1] -= less;
    excess -= less;
  }
  return found.sort(([a], [b]) => states.indexOf(a) - states.indexOf(b));
}

/**
 * The outlines of each state's area, for a strip of this width.
 * @param {readonly Run[]} runs
 * @param {number} chunks
 * @param {number} width
 * @returns {Map<State, string>}
 */
export function pathsOf(runs, chunks, width) {
  const columns = Math.max(1, Math.min(chunks, Math.floor(width / columnWidthMin)));
  const step = width / columns;
  const gap = step >= gapFrom ? 1 : 0;
  /** @type {Map<State, string>} */
  const paths = new Map();
  const shares = sharesOf(runs, chunks, columns);
  for (let at = 0; at < columns; at++) {
    let top = height;
    const x = at * step;
    for (const [state, h] of heightsOf(shares[at] ?? new Map())) {
      top -= h;
      const box = `M${round(x)} ${round(top)}h${round(step - gap)}v${round(h)}H${round(x)}z`;
      paths.set(state, (paths.get(state) ?? '') + box);
    }
  }
  return paths;
}

/** @param {number} n */
const round = (n) => Math.round(n * 100) / 100;

/**
 * The strip in words.
 * @param {readonly Run[]} runs
 * @param {number} chunks
 */
export function describe(runs, chunks) {
  const sums = tally(runs);
  const parts = states.flatMap((state) => {
    const n = sums.get(state);
    return n === undefined ? [] : [`${count(n)} ${state === 'unseen' ? 'not looked at' : state}`];
  });
  return `${plural(chunks, 'chunk')}: ${parts.join(', ')}`;
}

export class Strip {
  element = svg('svg', { class: 'strip', role: 'img', height: String(height) });
  /** @type {readonly Run[]} */
  #runs = [];
  #chunks = 1;
  #paths = new Map(layers.map((state) => [state, svg('path', { class: state, fill: `url(#${state})` })]));

  constructor() {
    this.element.append(...this.#paths.values());
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  /** @param {readonly Run[]} runs @param {number} chunks */
  show(runs, chunks) {
    this.#runs = runs;
    this.#chunks = chunks;
    this.element.setAttribute('aria-label', describe(runs, chunks));
    this.#draw();
  }

  #draw() {
    const paths = pathsOf(this.#runs, this.#chunks, Math.max(1, this.element.clientWidth));
    for (const [state, path] of this.#paths) path.setAttribute('d', paths.get(state) ?? '');
  }
}
