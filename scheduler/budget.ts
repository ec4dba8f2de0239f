// A batch's budget: how much has been spent, and whether one more chunk may be begun. What is under way counts with what a
// chunk has taken on average, or, before any was made, with what its generator says.
import type { BatchBudget } from '../core/batch.ts';
import type { Tally } from '../core/work-state.ts';
import { cpuCost, fromNano, type Prices, toNano } from '../costs/prices.ts';

export interface BudgetPrices extends Pick<Prices, 'cpuCoreHour' | 'currency'> {}

export class Budget {
  readonly #budget: BatchBudget;
  readonly #prices: BudgetPrices;
  readonly #estimatedSeconds: number;

  /** `estimatedSeconds`: CPU of one chunk, before any was made. */
  constructor(budget: BatchBudget, prices: BudgetPrices, estimatedSeconds: number) {
    this.#budget = budget;
    this.#prices = prices;
    this.#estimatedSeconds = estimatedSeconds;
  }

  /** Whether the budget covers what was spent, so many chunks under way, and one more. */
  covers(spent: Tally, underWay: number): boolean {
    const { cpuSeconds, cost } = this.#budget;
    const seconds = spent.cpuMicros / 1e6 + (underWay + 1) * this.#chunkSeconds(spent);
    if (cpuSeconds !== undefined && seconds > cpuSeconds) return false;
    return cost === undefined || cpuCost(this.#prices, seconds) <= toNano(cost);
  }

  /** Why no more may be begun, in a sentence. */
  reason(spent: Tally): string {
    const { cpuSeconds, cost } = this.#budget;
    const seconds = spent.cpuMicros / 1e6;
    const money = (of: number) => `${fromNano(cpuCost(this.#prices, of))} ${this.#prices.currency}`;
    const another = this.#chunkSeconds(spent);
    const limits = [
      ...(cpuSeconds === undefined ? [] : [`${cpuSeconds} CPU seconds`]),
      ...(cost === undefined ? [] : [`${cost} ${this.#prices.currency}`]),
    ].join(' and ');
    const rounded = (value: number) => Number(value.toPrecision(3));
    return (
      `The budget of ${limits} does not cover another chunk: ${rounded(seconds)} CPU seconds (${money(seconds)}) were ` +
      `spent, and a chunk takes about ${rounded(another)}.`
    );
  }

  #chunkSeconds({ done, cpuMicros }: Tally): number {
    return done > 0 ? cpuMicros / done / 1e6 : this.#estimatedSeconds;
  }
}
