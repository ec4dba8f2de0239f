// Batches, the newest first, and the three things a person does with one: pause, resume, cancel.
import { byId, h, Rows, setText } from './dom.js';
import { count, dateAndTime, duration, money, plural, timeOfDay } from './format.js';
import { More, Section } from './section.js';
import { askJson, messageOf } from './service.js';

const shownAtFirst = 20;
/** @type {Readonly<Record<string, string>>} */
const verbs = { paused: 'paused', running: 'resumed', cancelled: 'cancelled' };
const reasonLengthMax = 500;
const final = ['completed', 'cancelled', 'failed', 'over-budget'];

/** @param {any} batch */
const isUnderWay = (batch) => !final.includes(batch.state);

/**
 * What a person wants to know of a batch, in the order in which it matters.
 * @param {any} batch
 * @param {string | undefined} currency undefined while the page does not know it
 */
export function factsOf(batch, currency) {
  const { deadline, late = false } = batch;
  const { chunks = 0, done = 0, skipped = 0, failed = 0, cpuSeconds = 0, cost, estimatedSecondsLeft: left } = batch;
  const said = [`${count(done + skipped + failed)} of ${plural(chunks, 'chunk')}`];
  if (skipped > 0) said.push(`${count(skipped)} stored already`);
  if (failed > 0) said.push(`${count(failed)} failed`);
  if (typeof left === 'number' && isUnderWay(batch)) said.push(`${duration(left)} left`);
  const isDueTold = deadline !== undefined && (late || isUnderWay(batch));
  if (isDueTold) said.push(`${late ? 'late: ' : ''}due ${dateAndTime(deadline)}`);
  said.push(`${duration(cpuSeconds)} CPU`);
  if (typeof cost === 'number' && currency !== undefined) said.push(money(cost, currency));
  return said.join(' · ');
}

class BatchRow {
  #batch = /** @type {any} */ ({});
  #name = h('strong');
  #range = h('span', { class: 'range' });
  #state = h('span', { class: 'state' });
  #toggle = h('button', { type: 'button' });
  #cancel = h('button', { type: 'button' }, 'Cancel');
  #progress = h('progress');
  #facts = h('p', { class: 'facts' });
  #reason = h('p', { class: 'reason' });
  #actions = h('span', { class: 'actions' }, this.#toggle, this.#cancel);
  element = h(
    'li',
    {},
    h('p', { class: 'line' }, this.#name, this.#range, this.#state, this.#actions),
    this.#progress,
    this.#facts,
    this.#reason,
  );

  #isWaiting = false;
  #onWish;

  /** @param {(batch: any, wish: 'paused' | 'running' | 'cancelled') => Promise<void>} onWish never rejects */
  constructor(onWish) {
    this.#onWish = onWish;
    this.#toggle.addEventListener('click', () => this.#during(this.#batch.state === 'paused' ? 'running' : 'paused'));
    this.#cancel.addEventListener('click', () => this.#during('cancelled'));
  }

  /** @param {{ batch: any, currency: string | undefined }} item */
  update({ batch, currency }) {
    this.#batch = batch;
    const { id, dataset, startEvent, lastEvent, state, reason } = batch;
    const { chunks = 0, done = 0, skipped = 0, failed = 0 } = batch;
    setText(this.#name, dataset);
    const range = startEvent === undefined ? '' : `events ${count(startEvent)}–${count(lastEvent)}`;
    setText(this.#range, range);
    setText(this.#state, state);
    this.element.setAttribute('data-state', state);
    this.element.id = `batch-${id}`;
    this.#progress.max = Math.max(1, chunks);
    this.#progress.value = done + skipped + failed;
    const which = `the batch of ${dataset}, ${range}`;
    this.#progress.setAttribute('aria-label', `Progress of ${which}`);
    setText(this.#facts, factsOf(batch, currency));
    setText(this.#reason, String(reason ?? '').slice(0, reasonLengthMax));
    const verb = state === 'paused' ? 'Resume' : 'Pause';
    setText(this.#toggle, verb);
    this.#toggle.setAttribute('aria-label', `${verb} ${which}`);
    this.#cancel.setAttribute('aria-label', `Cancel ${which}`);
    this.#actions.hidden = !isUnderWay(batch);
  }

  /** @param {'paused' | 'running' | 'cancelled'} wish nothing more is asked for until the service has answered */
  async #during(wish) {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    // Not `disabled`, which would take the focus away.
    this.#actions.toggleAttribute('data-waiting', true);
    await this.#onWish(this.#batch, wish);
    this.#actions.toggleAttribute('data-waiting', false);
    this.#isWaiting = false;
  }
}

/**
 * Asks before it is done: a cancelled batch does not come back.
 * @param {string} question
 * @returns {Promise<boolean>}
 */
function confirmed(question) {
  const dialog = /** @type {HTMLDialogElement} */ (byId('confirm'));
  setText(byId('confirm-text'), question);
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

export class Batches {
  #section = new Section('batches');
  #rows = new Rows(
    this.#section.part('.list'),
    ({ batch }) => batch.id,
    () => new BatchRow((batch, wish) => this.#steer(batch, wish)),
  );
  #more;
  #currency;
  #onSteered;

  /**
   * @param {() => string | undefined} currency
   * @param {() => void} onSteered when a person changed something, or wants to see more
   */
  constructor(currency, onSteered) {
    this.#currency = currency;
    this.#onSteered = onSteered;
    this.#more = new More(this.#section, shownAtFirst, onSteered);
    for (const button of document.querySelectorAll('#confirm button')) {
      const { value } = /** @type {HTMLButtonElement} */ (button);
      button.addEventListener('click', () => button.closest('dialog')?.close(value));
    }
  }

  /** Whether one is under way. */
  async look() {
    try {
      const { items, next } = await askJson(`v1/batches?limit=${this.#more.shown}`);
      const currency = this.#currency();
      this.#rows.show(items.map((/** @type {any} */ batch) => ({ batch, currency })));
      this.#more.offer(next !== null);
      this.#section.fresh(items.length === 0);
      return items.some(isUnderWay);
    } catch (error) {
      this.#section.failed(error);
      throw error;
    }
  }

  /** @param {any} batch @param {'paused' | 'running' | 'cancelled'} wish */
  async #steer({ id, dataset }, wish) {
    const said = this.#section.part('.said');
    const path = `v1/batches/${encodeURIComponent(id)}`;
    try {
      if (wish !== 'cancelled') {
        const headers = { 'Content-Type': 'application/json' };
        await askJson(path, { method: 'PATCH', headers, body: JSON.stringify({ state: wish }) });
      } else if (await confirmed(`Cancel the batch of ${dataset}? What it made stays; it does not go on.`)) {
        await askJson(path, { method: 'DELETE' });
      } else {
        return;
      }
      setText(said, `The batch of ${dataset} was ${verbs[wish]} at ${timeOfDay(Date.now())}.`);
    } catch (error) {
      setText(said, `The batch of ${dataset} was not ${verbs[wish]}: ${messageOf(error)}`);
    }
    this.#onSteered();
  }
}
