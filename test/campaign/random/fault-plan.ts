// What may befall a service: drawn from the seed like everything else.
import type { Prng } from './prng.ts';

export type RoleName = 'api' | 'worker' | 'scheduler';

/** A place for one process of a role; whoever dies there is started again. */
interface Place {
  readonly role: RoleName;
  readonly index: number;
}

export type Spoiling = 'flip' | 'cut' | 'empty' | 'delete' | 'neighbour' | 'lengthen';

export type Fault =
  /** kill -9; started again after a while. */
  | (Place & { readonly kind: 'kill'; readonly downMs: number })
  /** SIGTERM: ends in order; started again. */
  | (Place & { readonly kind: 'end'; readonly downMs: number })
  /** SIGSTOP, and SIGCONT after a while. */
  | (Place & { readonly kind: 'freeze'; readonly ms: number })
  | { readonly kind: 'flush redis' }
  | { readonly kind: 'kill redis'; readonly downMs: number }
  | { readonly kind: 'freeze redis'; readonly ms: number }
  /** `which`, of the stored chunks, and `where`, of its bytes: per ten thousand. */
  | { readonly kind: 'damage'; readonly how: Spoiling; readonly which: number; readonly where: number }
  /** All of the disk but so many bytes is taken, and given back after a while. */
  | { readonly kind: 'fill disk'; readonly leavingBytes: number; readonly ms: number };

export type FaultKind = Fault['kind'];

export const faultWeights: Readonly<Record<FaultKind, number>> = {
  kill: 26,
  end: 6,
  freeze: 14,
  'flush redis': 8,
  'kill redis': 7,
  'freeze redis': 6,
  damage: 25,
  'fill disk': 8,
};

export function planFault(random: Prng, kind: FaultKind): Fault {
  const place = (): Place => ({
    role: random.weighted<RoleName>({ api: 3, worker: 5, scheduler: 2 }),
    index: random.whole(0, 1),
  });
  switch (kind) {
    case 'kill':
    case 'end':
      return { kind, ...place(), downMs: random.pick([0, 0, 200, 2000]) };
    case 'freeze':
      return { kind, ...place(), ms: frozenMs(random) };
    case 'flush redis':
      return { kind };
    case 'kill redis':
      return { kind, downMs: random.whole(0, 3000) };
    case 'freeze redis':
      return { kind, ms: frozenMs(random) };
    case 'damage': {
      const how = random.pick<Spoiling>(['flip', 'flip', 'cut', 'empty', 'delete', 'neighbour', 'lengthen']);
      return { kind, how, which: random.whole(0, 9999), where: random.whole(0, 9999) };
    }
    case 'fill disk':
      return { kind, leavingBytes: random.pick([0, 4096, 100_000, 1_000_000]), ms: random.whole(200, 6000) };
  }
}

/** Now and then longer than locks, leases and heartbeats last. */
function frozenMs(random: Prng): number {
  return random.percent(12) ? random.whole(8000, 15_000) : random.whole(100, 4000);
}
