// What a process says of its ledger with every heartbeat: so that of one that dies it is known how much it had not written.
import type { LedgerCounters } from './ledger.ts';

export function ledgerBeat({ recorded, flushed, segments, lost }: LedgerCounters): Readonly<Record<string, number>> {
  return { ledgerEntries: recorded, ledgerWritten: flushed, ledgerSegments: segments, ledgerLost: lost };
}
