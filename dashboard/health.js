// What is wrong with the service, in a sentence for a person; nothing where nothing is.
import { timeOfDay } from './format.js';

/** @type {Readonly<Record<string, string>>} */
const meaning = {
  store: 'The store cannot be read: nothing is served.',
  queue: 'Redis cannot be reached: stored events are served, nothing new is made.',
  worker: 'No worker is alive: stored events are served, nothing new is made.',
  scheduler: 'No scheduler is alive: batches wait.',
};

/**
 * @typedef {object} Health
 * @property {number | undefined} awaySince ms since 1970, where nobody answers
 * @property {readonly string[]} missing as /readyz has it
 */

/**
 * Without the queue nobody can tell who is alive, so it speaks for the processes too.
 * @param {Health} health
 * @returns {string} empty when all is well
 */
export function bannerOf({ awaySince, missing }) {
  if (awaySince !== undefined) return `The service has not answered since ${timeOfDay(awaySince)}. Trying again.`;
  const told = missing.includes('queue') ? missing.filter((what) => what === 'store' || what === 'queue') : missing;
  return told.map((what) => meaning[what] ?? `Missing: ${what}.`).join(' ');
}
