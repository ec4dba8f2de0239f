// Who is at work.
import { h, Rows, setText } from './dom.js';
import { bytes, count, duration, plural } from './format.js';
import { Section } from './section.js';

class WorkerRow {
  #name = h('strong');
  #facts = h('p', { class: 'facts' });
  element = h('li', {}, h('p', { class: 'line' }, this.#name), this.#facts);

  /** @param {any} worker of /v1/workers */
  update(worker) {
    setText(this.#name, `${worker.host}, process ${worker.pid}`);
    const said = [
      `${count(worker.busy ?? 0)} of ${plural(worker.threads ?? 0, 'thread')} busy`,
      `${plural(worker.generated ?? 0, 'chunk')} made`,
      `${bytes(worker.bytes ?? 0)}`,
      `${duration(worker.cpuSeconds ?? 0)} CPU`,
      ...(worker.failed > 0 ? [`${count(worker.failed)} failed`] : []),
    ];
    setText(this.#facts, said.join(' · '));
  }
}

export class Workers {
  #section = new Section('workers');
  #rows = new Rows(
    this.#section.part('.list'),
    (worker) => worker.id,
    () => new WorkerRow(),
  );

  /** @param {readonly any[]} items */
  show(items) {
    this.#rows.show(items);
    this.#section.fresh(items.length === 0);
  }

  /** @param {unknown} error */
  failed(error) {
    this.#section.failed(error);
  }
}
