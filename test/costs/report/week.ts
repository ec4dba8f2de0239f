// A week of a service, told entry by entry on a clock of its own: several datasets, two of which share their chunks, accesses
// in bursts and alone, joined flights, batches, chunks that are evicted, damaged, lost, or made twice, and work for nothing;
// and one dataset that is derived from another, whose chunks it reads where they are stored.
import type { Generation, LedgerEntry, WasteCause } from '../../../core/ledger.ts';

interface Player {
  readonly dataset: string;
  readonly generator: string;
  readonly derivation: string;
  readonly chunks: number;
  readonly chunkEvents: number;
  readonly bytes: number;
  readonly cpuMicros: number;
  /** After so long without an access its chunks go. */
  readonly keptMs: number;
  /** What it is derived from, chunk by chunk. */
  readonly input?: Player;
}

/** For whom something is made. */
type Work = Pick<Generation, 'attempt' | 'requestId' | 'batch'>;

const hourMs = 3_600_000;
const generated: Player = {
  dataset: 'mc:zmumu',
  generator: 'ee_mumu',
  derivation: 'a'.repeat(64),
  chunks: 40,
  chunkEvents: 2048,
  bytes: 310_007,
  cpuMicros: 812_345,
  keptMs: 9 * hourMs,
};
const players: readonly Player[] = [
  generated,
  // The same events under another name: it finds what the first one made.
  {
    dataset: 'user:mine',
    generator: 'ee_mumu',
    derivation: 'a'.repeat(64),
    chunks: 12,
    chunkEvents: 2048,
    bytes: 310_007,
    cpuMicros: 812_345,
    keptMs: 9 * hourMs,
  },
  {
    dataset: 'mc:pileup',
    generator: 'minbias',
    derivation: 'b'.repeat(64),
    chunks: 200,
    chunkEvents: 512,
    bytes: 4_100_231,
    cpuMicros: 1_934_001,
    keptMs: 30 * hourMs,
  },
  {
    dataset: 'mc:rare',
    generator: 'minbias',
    derivation: 'c'.repeat(64),
    chunks: 3,
    chunkEvents: 999,
    bytes: 77,
    cpuMicros: 59_000_001,
    keptMs: hourMs,
  },
  {
    dataset: 'mc:zmumu-sim',
    generator: 'detsim',
    derivation: 'd'.repeat(64),
    chunks: 30,
    chunkEvents: 2048,
    bytes: 205_003,
    cpuMicros: 3_912_007,
    keptMs: 5 * hourMs,
    input: generated,
  },
];

/** The same numbers for the same seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Some six thousand entries from `fromMs` on, in the order in which they came about. */
export function scriptedWeek(fromMs: number, seed: number): LedgerEntry[] {
  const next = random(seed);
  const upTo = (n: number) => Math.floor(next() * n);
  const told: LedgerEntry[] = [];
  const stored = new Map<string, { entry: LedgerEntry & { kind: 'put' }; usedMs: number; keptMs: number }>();
  const wasteCauses: readonly WasteCause[] = ['cancelled', 'failed', 'crashed', 'duplicate', 'unstored'];

  /** Reads the input where it is stored, else makes it on the way; gives what that took. */
  const takeInput = (input: Player, index: number, atMs: number, work: Work) => {
    const { chunk, key } = chunkOf(input, index);
    const there = stored.get(key);
    if (there === undefined) {
      const cpuMicros = input.cpuMicros + upTo(5000);
      return [{ ...common(input, chunk), ...work, atMs, cpuMicros, wallMicros: cpuMicros + upTo(99) }];
    }
    there.usedMs = atMs;
    const use = { means: 'near', events: input.chunkEvents, bytesServed: 0, waitMicros: 0 } as const;
    told.push({ kind: 'access', ...common(input, chunk), ...use, atMs: atMs - 3, requestId: work.requestId });
    return [];
  };

  const make = (player: Player, index: number, atMs: number, batch: string) => {
    const { chunk, key } = chunkOf(player, index);
    const work = { attempt: 1 + upTo(2), requestId: `request-${upTo(1000)}`, batch };
    const cpuMicros = player.cpuMicros + upTo(5000);
    const wallMicros = cpuMicros + upTo(900_000);
    if (next() < 0.08) {
      const cause = wasteCauses[upTo(wasteCauses.length)] as WasteCause;
      const wasted = { ...common(player, chunk), ...work, atMs: atMs - 1, cpuMicros: upTo(cpuMicros), wallMicros };
      const inputs = player.input === undefined ? [] : takeInput(player.input, index, atMs - 1, work);
      for (const spent of [wasted, ...inputs]) told.push({ kind: 'waste', ...spent, cause });
    }
    const bytes = player.bytes + upTo(3);
    for (const remade of player.input === undefined ? [] : takeInput(player.input, index, atMs, work)) {
      told.push({ kind: 'remake', ...remade });
    }
    told.push({ kind: 'generation', ...common(player, chunk), ...work, atMs, cpuMicros, wallMicros, bytes });
    const put = { kind: 'put', ...common(player, chunk), atMs, bytes } as const;
    told.push(put);
    stored.set(key, { entry: put, usedMs: atMs, keptMs: player.keptMs });
  };

  for (let minute = 0; minute < 7 * 24 * 60; minute++) {
    const nowMs = fromMs + minute * 60_000 + upTo(60_000);
    for (const [key, { entry, usedMs, keptMs }] of stored) {
      if (nowMs - usedMs < keptMs && next() > 1e-5) continue;
      const { kind: _, ...of } = entry;
      const cause = nowMs - usedMs >= keptMs ? 'room' : next() < 0.5 ? 'damaged' : 'lost';
      told.push({ kind: 'eviction', ...of, atMs: nowMs - 2, cause });
      stored.delete(key);
    }
    const isDay = Math.floor(minute / 60) % 24 >= 8;
    const requests = next() < (isDay ? 0.15 : 0.02) ? 1 + upTo(3) : 0;
    for (let request = 0; request < requests; request++) {
      const player = players[Math.min(upTo(6), players.length - 1)] as Player;
      const first = Math.floor(player.chunks * next() ** 2);
      for (let index = first; index < Math.min(first + 3, player.chunks); index++) {
        const { chunk, key } = chunkOf(player, index);
        const atMs = nowMs + upTo(50);
        const before = stored.get(key);
        const isNew = before === undefined;
        if (isNew) make(player, index, atMs, '');
        else before.usedMs = atMs;
        const access = (means: 'memory' | 'near' | 'joined' | 'generated') =>
          told.push({
            kind: 'access',
            ...common(player, chunk),
            atMs,
            requestId: `request-${upTo(1000)}`,
            means,
            events: player.chunkEvents,
            bytesServed: player.bytes * 2 + upTo(999),
            waitMicros: isNew ? upTo(3_000_000) : upTo(900),
          });
        access(isNew ? 'generated' : next() < 0.4 ? 'memory' : 'near');
        for (let others = isNew ? upTo(3) : 0; others > 0; others--) access('joined');
      }
    }
    // On Wednesday night a batch makes all of a dataset, over what is stored of it too.
    if (minute >= 2.9 * 24 * 60 && minute < 2.9 * 24 * 60 + 120) {
      make(players[2] as Player, minute - 2.9 * 24 * 60, nowMs, 'batch-1');
    }
  }
  return told;
}

function common({ dataset, generator, derivation }: Player, chunk: object) {
  return {
    dataset,
    generator,
    derivation,
    ...(chunk as { batchEvents: number; range: { first: number; end: number } }),
  };
}

function chunkOf({ derivation, chunkEvents }: Player, index: number) {
  const first = index * chunkEvents;
  return { chunk: { batchEvents: 256, range: { first, end: first + chunkEvents } }, key: `${derivation}/${index}` };
}
