// Builds the page's elements. What comes from the service only ever becomes text or an attribute's value, never markup.

const svgNamespace = 'http://www.w3.org/2000/svg';

/** @typedef {Node | string | undefined} Child */

/**
 * An element with these attributes and children: `h('p', { class: 'note' }, 'text')`.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Readonly<Record<string, string>>} [attributes]
 * @param {readonly Child[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Readonly<Record<string, string>>} [attributes]
 * @param {readonly Node[]} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(svgNamespace, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * The element of index.html with this id.
 * @param {string} id
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}

/**
 * Changes only what differs: what a screen reader or a selection holds stays as it is.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * The children of `container`, one for each item. A row lives as long as its key: it keeps focus and place.
 * @template T
 * @template {{ readonly element: HTMLElement, update(item: T): void }} R
 */
export class Rows {
  /** @type {Map<string, R>} */
  #rows = new Map();
  #container;
  #keyOf;
  #make;

  /**
   * @param {HTMLElement} container
   * @param {(item: T) => string} keyOf
   * @param {(item: T) => R} make
   */
  constructor(container, keyOf, make) {
    this.#container = container;
    this.#keyOf = keyOf;
    this.#make = make;
  }

  /** @param {readonly T[]} items */
  show(items) {
    const keys = new Set(items.map(this.#keyOf));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    let place = this.#container.firstElementChild;
    for (const item of items) {
      const key = this.#keyOf(item);
      const row = this.#rows.get(key) ?? this.#make(item);
      this.#rows.set(key, row);
      // Moving an element takes the focus from it.
      if (row.element === place) place = row.element.nextElementSibling;
      else this.#container.insertBefore(row.element, place);
      row.update(item);
    }
  }

  /** @returns {Iterable<R>} */
  all() {
    return this.#rows.values();
  }
}
