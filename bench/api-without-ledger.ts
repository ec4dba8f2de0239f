// An api that tells the ledger nothing, so that the price of telling it can be measured. Settings in the environment.
import { startApi } from '../api/main.ts';
import { readConfig } from '../config/settings.ts';
import { noLedger } from '../core/ledger.ts';
import { silentLog } from '../core/log.ts';
import { builtInGenerators } from '../generators/registry.ts';

process.once('disconnect', () => process.exit());
const api = await startApi(readConfig(process.env), builtInGenerators, silentLog, { ledger: noLedger });
process.send?.({ ready: { address: api.url } });
