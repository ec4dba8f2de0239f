// What an api process counts, for Prometheus. Requests are counted in plain numbers and turned into metrics when
// somebody looks: a request pays for a few additions.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { PlanSummary } from '../scheduler/plan.ts';
import { Latencies } from './latencies.ts';

/** How an answer under way ended badly. */
export type ResetReason = 'failed' | 'stalled';

interface RouteTally {
  bodyBytes: number;
  readonly byStatus: Map<number, number>;
}

export class ApiMetrics {
  readonly registry = new Registry();
  readonly #latencies: Latencies;
  readonly #routes = new Map<string, RouteTally>();
  readonly #chunks = { hit: 0, joined: 0, generated: 0 };
  readonly #resets = { failed: 0, stalled: 0 };
  #inFlight = 0;
  #abandoned = 0;
  #evicted = 0;
  #damaged = 0;

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    const byRoute = this.#routes;
    this.#latencies = new Latencies(
      this.registry,
      'evoke_http_request_seconds',
      'From the request until its answer was sent whole or given up.',
    );
    this.#counter('evoke_http_requests_total', 'Requests answered, by route and status.', ['route', 'status'], () =>
      [...byRoute].flatMap(([route, { byStatus }]) =>
        [...byStatus].map(([status, count]) => ({ labels: { route, status: String(status) }, count })),
      ),
    );
    this.#counter('evoke_http_body_bytes_total', 'Bytes of bodies handed to clients.', ['route'], () =>
      [...byRoute].map(([route, { bodyBytes }]) => ({ labels: { route }, count: bodyBytes })),
    );
    this.#counter('evoke_http_resets_total', 'Connections reset in the middle of an answer.', ['reason'], () =>
      Object.entries(this.#resets).map(([reason, count]) => ({ labels: { reason }, count })),
    );
    this.#counter(
      'evoke_chunks_requested_total',
      'Chunks of answered ranges, by where they came from.',
      ['means'],
      () => Object.entries(this.#chunks).map(([means, count]) => ({ labels: { means }, count })),
    );
    this.#counter('evoke_http_abandoned_total', 'Requests whose client left before the answer was whole.', [], () => [
      { labels: {}, count: this.#abandoned },
    ]);
    this.#counter('evoke_chunks_evicted_total', 'Chunks made virtual again on request.', [], () => [
      { labels: {}, count: this.#evicted },
    ]);
    this.#counter(
      'evoke_chunks_damaged_total',
      'Stored chunks found damaged by this process, and quarantined.',
      [],
      () => [{ labels: {}, count: this.#damaged }],
    );
    this.gauge('evoke_http_requests_in_flight', 'Requests being answered.', () => this.#inFlight);
  }

  /** Counters of this process's ledger. */
  ledger(read: () => { readonly recorded: number; readonly segments: number; readonly lost: number }): void {
    const counter = (what: string, help: string, count: () => number) =>
      this.#counter(`evoke_ledger_${what}_total`, help, [], () => [{ labels: {}, count: count() }]);
    counter('entries', 'Entries that this process took for the ledger.', () => read().recorded);
    counter('segments', 'Segments of the ledger that it wrote.', () => read().segments);
    counter('lost', 'Entries that will never be in the ledger.', () => read().lost);
  }

  started(): void {
    this.#inFlight++;
  }

  /** `status` is 0 where the client left before there was one. */
  finished(route: string, status: number, seconds: number, bodyBytes: number): void {
    this.#inFlight--;
    let tally = this.#routes.get(route);
    if (tally === undefined) {
      tally = { bodyBytes: 0, byStatus: new Map() };
      this.#routes.set(route, tally);
    }
    tally.bodyBytes += bodyBytes;
    tally.byStatus.set(status, (tally.byStatus.get(status) ?? 0) + 1);
    this.#latencies.observe(route, seconds);
  }

  reset(reason: ResetReason): void {
    this.#resets[reason]++;
  }

  abandoned(): void {
    this.#abandoned++;
  }

  evicted(chunks: number): void {
    this.#evicted += chunks;
  }

  damaged(): void {
    this.#damaged++;
  }

  served({ hit, joined, generated }: PlanSummary): void {
    this.#chunks.hit += hit;
    this.#chunks.joined += joined;
    this.#chunks.generated += generated;
  }

  /** A number read when somebody looks. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** Numbers that only grow, one for each value of a label; read when somebody looks. */
  counts<L extends string>(name: string, help: string, label: L, read: () => Readonly<Record<string, number>>): void {
    this.#counter(name, help, [label], () =>
      Object.entries(read()).map(([value, count]) => ({ labels: { [label]: value } as Record<L, string>, count })),
    );
  }

  #counter<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: () => { labels: Partial<Record<L, string>>; count: number }[],
  ): void {
    new Counter<L>({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { labels, count } of read()) this.inc(labels, count);
      },
    });
  }
}
