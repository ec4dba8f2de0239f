// Latencies as a Prometheus histogram, counted in plain numbers: prom-client's own histogram spends more on finding its
// labels again with every observation than a hot request spends on its whole answer's head.
import { Histogram, type Registry } from 'prom-client';

/** Seconds. */
const bounds = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

interface Tally {
  /** Observations up to each bound and above the one before; the last beyond all. */
  readonly counts: number[];
  sum: number;
}

export class Latencies {
  readonly #byRoute = new Map<string, Tally>();

  constructor(registry: Registry, name: string, help: string) {
    const histogram = new Histogram({ name, help, labelNames: ['route'], buckets: bounds, registers: [] });
    // What the registry asks a metric for when somebody looks.
    const read = async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: this.#values(name) });
    registry.registerMetric(Object.assign(histogram, { get: read, getForPromString: read }));
  }

  observe(route: string, seconds: number): void {
    let tally = this.#byRoute.get(route);
    if (tally === undefined) {
      tally = { counts: new Array<number>(bounds.length + 1).fill(0), sum: 0 };
      this.#byRoute.set(route, tally);
    }
    let bucket = 0;
    while (bucket < bounds.length && seconds > (bounds[bucket] as number)) bucket++;
    tally.counts[bucket] = (tally.counts[bucket] as number) + 1;
    tally.sum += seconds;
  }

  #values(name: string) {
    return [...this.#byRoute].flatMap(([route, { counts, sum }]) => {
      let below = 0;
      const buckets = counts.map((count, i) => {
        below += count;
        return { metricName: `${name}_bucket`, labels: { le: bounds[i] ?? '+Inf', route }, value: below };
      });
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels: { route }, value: sum },
        { metricName: `${name}_count`, labels: { route }, value: below },
      ];
    });
  }
}
