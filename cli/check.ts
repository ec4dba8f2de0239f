// evoke check: one line for everything that is wrong with the store or with what the ledger says of it, and with --repair
// what could be mended is. Works beside a running service. Exit code 1 when something is left.
import { randomUUID } from 'node:crypto';
import type { Environment } from '../config/settings.ts';
import { systemClock } from '../core/clock.ts';
import type { LedgerEntry } from '../core/ledger.ts';
import { silentLog } from '../core/log.ts';
import { Ledger } from '../costs/ledger/ledger.ts';
import { Reconciler } from '../costs/ledger/reconcile.ts';
import { Catalog } from '../store/catalog.ts';
import { chunkName } from '../store/chunk-names.ts';
import { Chunks } from '../store/chunks.ts';
import { type Finding, Inspection } from '../store/inspection.ts';
import type { Store } from '../store/store.ts';
import { exitCodes } from './command.ts';
import { Findings } from './findings.ts';
import { humanBytes } from './output.ts';
import { type OwnStore, openOwnStore } from './own-store.ts';
import { WalkLine } from './walk-line.ts';

/** Beside a running service, an unfinished write younger than this may be going on. */
const leftoverAgeMs = 3_600_000;
/** What happened so lately may be in the memory of a process yet: three flushes of the ledger, and at least a minute. */
const marginMsMin = 60_000;
const flushesInMargin = 3;

export interface CheckOptions {
  readonly repair?: boolean;
  readonly json?: boolean;
}

/** @throws EvokeError BAD_SETTINGS, STORE_UNAVAILABLE; Error when there is no store */
export async function check(options: CheckOptions, environment: Environment): Promise<void> {
  const { json = false } = options;
  const own = await openOwnStore(environment);
  const { store, config } = own;
  // Nothing is changed in a place that may be no store at all.
  const repair = options.repair === true && (await store.head('store.json')) !== undefined;
  const status = new WalkLine();
  const findings = new Findings(json, status);
  const stop = new AbortController();
  const interrupt = () => stop.abort(new Error('Interrupted.'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
  const flushMs = config.ledgerSeconds * 1000;
  const ledger = new Ledger({ store, process: randomUUID(), flushMs, clock: systemClock, log: silentLog });
  try {
    findings.begin(store.description, own.use);
    const inspection = new Inspection({
      store,
      catalog: new Catalog(store, systemClock),
      clock: systemClock,
      ledger,
      repair,
      leftoverAgeMs: own.mayBeInUse ? leftoverAgeMs : 0,
    });
    const seen = () => {
      const { objects, chunks, bytes } = inspection.seen;
      return `${objects} objects, ${chunks} chunks, ${humanBytes(bytes)}`;
    };
    for await (const finding of inspection.findings(stop.signal, () => status.show(() => `checked ${seen()}`))) {
      findings.add(finding);
    }
    await ledger.flush();
    status.show(() => 'comparing the ledger with the store; where chunks are missing from it, this takes a minute');
    await compareLedger(own, repair ? ledger : undefined, findings, stop.signal);
    findings.end(`${seen()} looked at, ${inspection.seen.quarantined} in quarantine`, { ...inspection.seen });
    if (findings.left > 0) process.exitCode = exitCodes.failed;
  } finally {
    status.wipe();
    await ledger.close();
    await store.close();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt);
  }
}

/** With a ledger, what is missing in it is told; without one, it is only said. */
async function compareLedger(
  { store, config, mayBeInUse }: OwnStore,
  ledger: Ledger | undefined,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const damaged = new Set<string>();
  const log = {
    ...silentLog,
    warn: (fields: object) => {
      const { segment, detail } = fields as { segment?: string; detail?: string };
      if (segment === undefined || damaged.has(segment)) return;
      damaged.add(segment);
      const problem = `The segment cannot be read, and is passed over: ${detail}`;
      findings.add({ kind: 'ledger', name: segment, problem, repair: null, repaired: false });
    },
  };
  const sink = {
    counters: ledger?.counters ?? { recorded: 0, flushed: 0, segments: 0, lost: 0 },
    flush: async () => ledger?.flush(),
    record: (entry: LedgerEntry) => {
      ledger?.record(entry);
      const finding = missing(entry);
      if (finding !== undefined) findings.add({ ...finding, repaired: ledger !== undefined });
    },
  };
  const reconciler = new Reconciler({
    store: ledger === undefined ? untouched(store) : store,
    chunks: new Chunks(store),
    ledger: sink,
    clock: systemClock,
    log,
    marginMs: Math.max(marginMsMin, flushesInMargin * config.ledgerSeconds * 1000),
  });
  await reconciler.reconcile({ sinceMs: 0, all: !mayBeInUse }, signal);
}

function missing(entry: LedgerEntry): Omit<Finding, 'repaired'> | undefined {
  const name = chunkName(entry);
  if (entry.kind === 'generation') {
    const problem = 'The ledger does not know that it was made.';
    return { kind: 'ledger', name, problem, repair: "the ledger is told from the chunk's own trailer" };
  }
  if (entry.kind !== 'eviction') return undefined;
  const problem = 'The ledger has it as stored, and it is not there.';
  return { kind: 'ledger', name, problem, repair: 'the ledger is told that it is lost' };
}

/** A store that only looks as if it were written to. */
function untouched(store: Store): Store {
  return {
    description: store.description,
    get: (name) => store.get(name),
    getRange: (name, range) => store.getRange(name, range),
    head: (name) => store.head(name),
    list: (prefix, options) => store.list(prefix, options),
    put: async () => false,
    delete: async () => false,
    close: async () => undefined,
  };
}
