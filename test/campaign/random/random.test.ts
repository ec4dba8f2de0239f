// The random campaign: whatever is done to the service, in whatever order, no promise is broken. The seed is printed, and
// does the same again: `CAMPAIGN_SEED=… CAMPAIGN_SECONDS=… npm run test:campaign -- random`.
import { expect, test } from 'vitest';
import { Campaign } from './campaign.ts';

const seconds = Number(process.env['CAMPAIGN_SECONDS'] ?? 180);
/** The same unless said: who changes something else is not to meet what another sequence would have found. */
const seed = Number(process.env['CAMPAIGN_SEED'] ?? 20170301);
/** For coming to rest, and for waiting until an answer is overdue. */
const restMs = 20 * 60_000;

const say = (text: string) => process.stdout.write(`${text}\n`);
const replay = `CAMPAIGN_SEED=${seed} CAMPAIGN_SECONDS=${seconds} npm run test:campaign -- random`;

test('random operations and faults break no promise', { timeout: seconds * 1000 + restMs }, async () => {
  say(`random campaign: ${replay}`);
  const campaign = await Campaign.start({ seed, seconds });
  if (!campaign.hasOwnDisk)
    say('Nothing may be mounted here: the disk is never filled, and only the capacity is small.');
  try {
    const violations = await campaign.run();
    say(campaign.journal.summary());
    if (violations.length > 0) {
      say(campaign.lastWords());
      say(`All that was said is kept in ${await campaign.keepWords()}`);
      say(`random campaign failed: ${replay}\n${violations.join('\n')}`);
    }
    expect(violations.map((what) => what.split('\n')[0])).toEqual([]);
  } finally {
    await campaign.close();
  }
});
