// A part of the page that shows the last thing it knows, and says when that is old.
import { setText } from './dom.js';
import { timeOfDay } from './format.js';
import { Refusal } from './service.js';

export class Section {
  /** @type {number | undefined} */
  #seenAt;

  /** @param {string} id of an element of index.html */
  constructor(id) {
    this.id = id;
  }

  /**
   * @param {string} selector within the section
   * @returns {HTMLElement}
   */
  part(selector) {
    const element = document.querySelector(`#${this.id} ${selector}`);
    if (!(element instanceof HTMLElement)) throw new Error(`the page has no #${this.id} ${selector}`);
    return element;
  }

  /** What is shown is true now. @param {boolean} isEmpty */
  fresh(isEmpty = false) {
    this.#seenAt = Date.now();
    this.part('.note').hidden = true;
    const empty = document.querySelector(`#${this.id} .empty`);
    if (empty instanceof HTMLElement) empty.hidden = !isEmpty;
    this.#mark(false);
  }

  /** What is shown is as old as it is; the banner says so where nobody answers at all. @param {unknown} error */
  failed(error) {
    const age = this.#seenAt === undefined ? [] : [`As of ${timeOfDay(this.#seenAt)}`];
    const why = error instanceof Refusal ? [error.title] : [];
    const note = this.part('.note');
    setText(note, [...age, ...why].join(': '));
    note.hidden = note.textContent === '';
    this.#mark(this.#seenAt !== undefined);
  }

  /** @param {boolean} isStale */
  #mark(isStale) {
    document.getElementById(this.id)?.toggleAttribute('data-stale', isStale);
  }
}

/** What one request for a list gives at most. */
const shownMax = 1000;

/** The button that shows more of a list. */
export class More {
  #button;

  /** @param {Section} section @param {number} shown at first @param {() => void} onMore */
  constructor(section, shown, onMore) {
    this.shown = shown;
    this.#button = section.part('.more');
    this.#button.addEventListener('click', () => {
      this.shown = Math.min(shownMax, this.shown * 4);
      onMore();
    });
  }

  /** @param {boolean} isMore whether the list goes on */
  offer(isMore) {
    this.#button.hidden = !isMore || this.shown >= shownMax;
  }
}
