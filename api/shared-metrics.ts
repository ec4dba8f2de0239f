// What all processes share, as one api process sees it: queue, workers, room in the store. Looked up when somebody asks for
// metrics; what nobody can tell at that moment (Redis is away) is left out, and never shown as an old number.
import { Counter, Gauge, type Registry } from 'prom-client';
import type { HoldBook } from '../core/hold-book.ts';
import type { ChunkQueue } from '../queue/chunk-queue.ts';
import type { LivingProcess, Processes } from '../queue/processes.ts';

export interface SharedSources {
  readonly queue: Pick<ChunkQueue, 'depth'>;
  readonly processes: Pick<Processes, 'list'>;
  readonly book: { usage(): Promise<{ usedBytes: number; reservedBytes: number } | undefined> };
  readonly holds: Pick<HoldBook, 'held'>;
  /** Undefined while nobody has decided it. */
  readonly capacityBytes: () => Promise<number | undefined>;
}

/** Counters of a worker's heartbeat, and what they count. */
const workerCounters = [
  ['generated', 'evoke_worker_chunks_generated_total', 'Chunks made and stored.'],
  ['failed', 'evoke_worker_chunks_failed_total', 'Chunks given up.'],
  ['retried', 'evoke_worker_tries_failed_total', 'Tries that failed and were made again.'],
  ['stalled', 'evoke_worker_jobs_stalled_total', 'Jobs found without their worker.'],
  ['evicted', 'evoke_worker_chunks_evicted_total', 'Chunks made virtual again to make room.'],
  ['damaged', 'evoke_worker_chunks_damaged_total', 'Stored chunks found damaged, and quarantined.'],
  ['digestsDiffering', 'evoke_worker_digests_differing_total', 'Chunks made again with another digest.'],
  ['bytes', 'evoke_worker_stored_bytes_total', 'Bytes of chunks stored.'],
  ['cpuSeconds', 'evoke_worker_cpu_seconds_total', 'CPU of the generating threads.'],
  ['wastedCpuSeconds', 'evoke_worker_wasted_cpu_seconds_total', 'Of that, what came to nothing.'],
  ['remakingCpuSeconds', 'evoke_worker_remaking_cpu_seconds_total', 'Of the CPU, what remaking inputs took.'],
  ['inputEventsRead', 'evoke_worker_input_events_read_total', 'Events of inputs that were read from stored chunks.'],
  ['inputEventsRemade', 'evoke_worker_input_events_remade_total', 'Events of inputs that were made again on the way.'],
  ['ledgerEntries', 'evoke_worker_ledger_entries_total', 'Entries taken for the ledger.'],
  ['ledgerSegments', 'evoke_worker_ledger_segments_total', 'Segments of the ledger written.'],
  ['ledgerLost', 'evoke_worker_ledger_lost_total', 'Entries that will never be in the ledger.'],
] as const;

/** Counters of a scheduler's heartbeat: only the leading one's grow. */
const schedulerCounters = [
  ['batchChunksDone', 'evoke_batch_chunks_done_total', 'Chunks made for batches.'],
  ['batchChunksSkipped', 'evoke_batch_chunks_skipped_total', 'Chunks of batches found stored.'],
  ['batchChunksFailed', 'evoke_batch_chunks_failed_total', 'Chunks of batches that could not be made.'],
  [
    'ledgerLostWithProcesses',
    'evoke_ledger_lost_with_processes_total',
    'Ledger entries that killed processes had not written.',
  ],
  [
    'cpuSecondsLostWithProcesses',
    'evoke_ledger_cpu_seconds_lost_with_processes_total',
    'CPU that killed workers had used for chunks under way.',
  ],
  ['ledgerRecovered', 'evoke_ledger_recovered_total', 'Generations told from the trailers of their chunks.'],
  ['ledgerLostChunks', 'evoke_ledger_lost_chunks_total', 'Chunks found gone without a word.'],
  ['batchGrants', 'evoke_batch_grants_total', 'Chunks of batches put before those that people wait for.'],
] as const;

type Role = 'worker' | 'scheduler';

/** A counter that every process of a role tells in its heartbeat. */
interface RoleCounter {
  readonly role: Role;
  readonly field: string;
  readonly counter: Counter<Role>;
}

const seenByAll = 'Every api shows the same: take the maximum, not the sum.';

export class SharedMetrics {
  readonly #sources: SharedSources;
  readonly #queued: Gauge<'state'>;
  readonly #workers: Gauge;
  readonly #threads: Gauge<'state'>;
  readonly #stored: Gauge<'kind'>;
  readonly #capacity: Gauge;
  readonly #held: Gauge<'what'>;
  readonly #batches: Gauge;
  readonly #counters: readonly RoleCounter[];

  constructor(registry: Registry, sources: SharedSources) {
    this.#sources = sources;
    const registers = [registry];
    const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
      new Gauge<L>({ name, help: `${help} ${seenByAll}`, labelNames, registers });
    this.#queued = gauge('evoke_queue_chunks', 'Chunks on order, by state.', 'state');
    this.#workers = gauge('evoke_workers', 'Living workers.');
    this.#threads = gauge('evoke_worker_threads', 'Generating threads of living workers, by state.', 'state');
    this.#stored = gauge('evoke_store_bytes', 'Bytes of chunks, stored and reserved for chunks being made.', 'kind');
    this.#capacity = gauge('evoke_store_capacity_bytes', 'Bytes that chunks may take.');
    this.#held = gauge(
      'evoke_held',
      'What is held for event ranges that were not delivered yet: ranges, their chunks, and the bytes that those may take.',
      'what',
    );
    this.#batches = gauge('evoke_batches_active', 'Batches that are not over.');
    const counter = (role: Role, field: string, name: string, help: string) => ({
      role,
      field,
      counter: new Counter({
        name,
        help: `${help} Since that ${role} began. ${seenByAll}`,
        labelNames: [role],
        registers,
      }),
    });
    this.#counters = [
      ...workerCounters.map(([field, name, help]) => counter('worker', field, name, help)),
      ...schedulerCounters.map(([field, name, help]) => counter('scheduler', field, name, help)),
    ];
  }

  /** Asks everybody, each within the bound of its own calls. Never rejects. */
  async look(): Promise<void> {
    const { queue, processes, book, holds, capacityBytes } = this.#sources;
    const [depth, living, usage, held, capacity] = await Promise.all([
      queue.depth().catch(() => undefined),
      processes.list().catch(() => undefined),
      book.usage().catch(() => undefined),
      holds.held().catch(() => undefined),
      capacityBytes().catch(() => undefined),
    ]);
    show(this.#queued, 'state', depth);
    show(this.#stored, 'kind', usage && { stored: usage.usedBytes, reserved: usage.reservedBytes });
    show(this.#held, 'what', held && { ...held });
    this.#capacity.remove();
    if (capacity !== undefined) this.#capacity.set(capacity);
    this.#showWorkers(living?.filter(({ role }) => role === 'worker'));
    const leader = living?.find(({ role, leading }) => role === 'scheduler' && leading === 1);
    this.#batches.remove();
    if (leader !== undefined) this.#batches.set(Number(leader['batchesActive'] ?? 0));
    for (const { role, field, counter } of this.#counters) {
      counter.reset();
      for (const process of living ?? []) {
        if (process.role === role) counter.inc({ [role]: process.id }, Number(process[field] ?? 0));
      }
    }
  }

  #showWorkers(workers: readonly LivingProcess[] | undefined): void {
    this.#workers.remove();
    if (workers !== undefined) this.#workers.set(workers.length);
    const busy = sum(workers ?? [], 'busy');
    show(this.#threads, 'state', workers && { busy, idle: Math.max(0, sum(workers, 'threads') - busy) });
  }
}

function show<L extends string>(gauge: Gauge<L>, label: L, values: Readonly<Record<string, number>> | undefined): void {
  gauge.reset();
  for (const [name, value] of Object.entries(values ?? {})) gauge.set({ [label]: name } as Record<L, string>, value);
}

function sum(workers: readonly LivingProcess[], field: string): number {
  return workers.reduce((total, worker) => total + Number(worker[field] ?? 0), 0);
}
