// The bill: what the demand of the last 30 days cost, beside what it would have cost under three other policies.
import { h } from './dom.js';
import { bytes, duration, energy, mass, money, percent, storage } from './format.js';
import { Section } from './section.js';
import { askJson } from './service.js';

const rowsMax = 10;
/** @type {readonly (readonly [key: string, name: string])[]} */
const policies = [
  ['actual', 'As it was'],
  ['never', 'Never store'],
  ['always', 'Always store'],
  ['optimum', 'Clairvoyant optimum'],
];

/**
 * Every row of the table of policies, as text, and its cost as a share of the dearest.
 * @param {any} total
 * @param {string} currency
 */
export function policyRows(total, currency) {
  const dearest = Math.max(...policies.map(([key]) => Number(total[key].cost)));
  return policies.map(([key, name]) => {
    const { cost, cpuSeconds, byteSeconds, bytesServed, hitRatio, energyKwh, gramsCo2e } = total[key];
    return {
      key,
      name,
      share: dearest > 0 ? Number(cost) / dearest : 0,
      cells: [
        money(Number(cost), currency, dearest),
        duration(cpuSeconds),
        storage(byteSeconds),
        bytes(bytesServed),
        typeof hitRatio === 'number' ? percent(hitRatio) : '–',
        energy(energyKwh),
        mass(gramsCo2e),
      ],
    };
  });
}

/** @param {string} caption @param {readonly string[]} heads @param {readonly HTMLElement[]} rows */
function table(caption, heads, rows) {
  const head = h('tr', {}, ...heads.map((text) => h('th', { scope: 'col' }, text)));
  return h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': caption },
    h('table', {}, h('caption', {}, caption), h('thead', {}, head), h('tbody', {}, ...rows)),
  );
}

/** @param {any} report @returns {HTMLElement[]} */
function tablesOf({ total, rows, currency }) {
  const totals = policyRows(total, currency).map(({ key, name, share, cells }) => {
    const bar = h('progress', { value: String(share), 'aria-hidden': 'true' });
    return h('tr', { class: key }, h('th', { scope: 'row' }, name, bar), ...cells.map((text) => h('td', {}, text)));
  });
  const shown = [...rows].sort((a, b) => Number(b.actual.cost) - Number(a.actual.cost)).slice(0, rowsMax);
  const most = Math.max(0, ...shown.flatMap((row) => policies.map(([key]) => Number(row[key].cost))));
  const each = shown.map((row) => {
    const costs = policies.map(([key]) => h('td', { class: key }, money(Number(row[key].cost), currency, most)));
    return h('tr', {}, h('th', { scope: 'row' }, String(row.key)), ...costs);
  });
  const heads = ['Cost', 'CPU', 'Stored', 'Served', 'Hits', 'Energy', 'CO₂e'];
  const many = rows.length > rowsMax ? `The ${rowsMax} dearest of ${rows.length} datasets` : 'By dataset';
  return [
    table('All datasets', ['Policy', ...heads], totals),
    table(many, ['Dataset', ...policies.map(([, name]) => name)], each),
  ];
}

export class Bill {
  /** Known once there was a report. @type {string | undefined} */
  currency;
  #section = new Section('bill');

  async look() {
    try {
      const report = await askJson('v1/reports/cost?by=dataset');
      this.currency = String(report.currency);
      const isEmpty = report.rows.length === 0;
      this.#section.part('.tables').replaceChildren(...(isEmpty ? [] : tablesOf(report)));
      this.#section.fresh(isEmpty);
    } catch (error) {
      this.#section.failed(error);
      throw error;
    }
  }
}
