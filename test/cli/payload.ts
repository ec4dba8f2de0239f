// A payload of the Event Service, as a process: says that it is ready, is handed a range over a file, reads all of it with a
// reader that is not ours, writes its output, removes the file, and tells of the output in PanDA's words. It crashes at random,
// at every step. Arguments: the folder of its outputs, how likely a step crashes, a seed.
import { createHash } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import pl from 'nodejs-polars';
import { outputOf, type PayloadOutput } from './payload-output.ts';

const [outputs = '', crashShare = '0', seed = '1'] = process.argv.slice(2);
let steps = 0;

function mayCrash(): void {
  const chance = createHash('sha256').update(`${seed} ${steps++}`).digest().readUInt32BE() / 2 ** 32;
  if (chance < Number(crashShare)) process.kill(process.pid, 'SIGKILL');
}

async function read({ eventRangeID, PFN, startEvent, lastEvent }: Record<string, unknown>): Promise<string> {
  mayCrash();
  const bytes = await readFile(String(PFN));
  const events = pl.readIPCStream(bytes).getColumn('event').toArray().map(Number);
  if (startEvent !== 1 || lastEvent !== events.length) throw new Error(`${eventRangeID} is not of all of its file`);
  mayCrash();
  const output = outputOf(outputs, String(eventRangeID));
  const digest = createHash('sha256').update(bytes).digest('hex');
  const written: PayloadOutput = { eventRangeID: String(eventRangeID), events, digest };
  await writeFile(`${output}.${process.pid}`, JSON.stringify(written));
  // Appears whole, and never over another: a range that is read twice fails here.
  await link(`${output}.${process.pid}`, output);
  await rm(`${output}.${process.pid}`);
  mayCrash();
  await rm(String(PFN));
  return `${output},ID:${eventRangeID},CPU:1,WALL:1`;
}

console.log('Ready for events');
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'No more events') break;
  const [range] = JSON.parse(line);
  try {
    console.log(await read(range));
  } catch (error) {
    console.log(`ERR_ATHENAMP_PROCESS ${range.eventRangeID}: Failed to process event range: ${error}`);
  }
  console.log('Ready for events');
}
