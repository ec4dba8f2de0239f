// When the page looks: on time, one at a time, rarely when it hurts, never unseen. Time is turned by hand.
import { expect, test } from 'vitest';
import { Poller } from '../../dashboard/poller.js';

const pace = { everyMs: 1000, soonMs: 200, failedMsMax: 3000 };

/** A browser whose clock moves when it is told to. */
class World {
  ms = 0;
  isHidden = false;
  timer: { at: number; work: () => void } | undefined;
  readonly now = () => this.ms;
  readonly hidden = () => this.isHidden;
  readonly later = (work: () => void, ms: number) => {
    this.timer = { at: this.ms + ms, work };
    return this.timer;
  };
  readonly never = (timer: unknown) => {
    if (this.timer === timer) this.timer = undefined;
  };

  async until(ms: number): Promise<void> {
    while (this.timer !== undefined && this.timer.at <= ms) {
      const { at, work } = this.timer;
      this.ms = Math.max(this.ms, at);
      this.timer = undefined;
      work();
      // The look, and what follows it.
      for (let i = 0; i < 5; i++) await Promise.resolve();
    }
    this.ms = ms;
  }
}

function polling(look: () => Promise<boolean>) {
  const world = new World();
  const looks: number[] = [];
  const poller = new Poller(
    () => {
      looks.push(world.ms);
      return look();
    },
    pace,
    world,
  );
  return { world, looks, poller };
}

test('it looks at once, and then on time', async () => {
  const { world, looks, poller } = polling(async () => false);
  poller.now();
  await world.until(3500);
  expect(looks).toEqual([0, 1000, 2000, 3000]);
});

test('it looks sooner where there is reason to, and no sooner than that however often it is told', async () => {
  let reasons = 2;
  const { world, looks, poller } = polling(async () => reasons-- > 0);
  poller.now();
  await world.until(450);
  for (let i = 0; i < 5; i++) poller.soon();
  await world.until(700);
  expect(looks).toEqual([0, 200, 400, 600]);
});

test('it never has two looks under way', async () => {
  let release = (_: boolean) => {};
  const { world, looks, poller } = polling(() => new Promise((resolve) => (release = resolve)));
  poller.now();
  await world.until(500);
  poller.now();
  poller.soon();
  await world.until(5000);
  expect(looks).toEqual([0]);
  release(false);
  await Promise.resolve();
  await Promise.resolve();
  await world.until(5001);
  expect(looks).toEqual([0, 5000]);
});

test('what takes long is looked at less often: a tenth of the time at most', async () => {
  const { world, looks, poller } = polling(async () => {
    world.ms += 300;
    return true;
  });
  poller.now();
  await world.until(7000);
  expect(looks).toEqual([0, 3300, 6600]);
});

test('failures make it rarer up to a bound, and a success makes it regular again', async () => {
  let fails = 7;
  const { world, looks, poller } = polling(async () => {
    if (fails-- > 0) throw new Error('away');
    return false;
  });
  poller.now();
  await world.until(14_000);
  expect(looks).toEqual([0, 200, 600, 1400, 3000, 6000, 9000, 12_000, 13_000, 14_000]);
});

test('it looks at nothing while nobody sees the page, and at once when somebody does', async () => {
  const { world, looks, poller } = polling(async () => false);
  poller.now();
  await world.until(500);
  world.isHidden = true;
  await world.until(60_000);
  expect(looks).toEqual([0, 1000]);
  world.isHidden = false;
  poller.now();
  await world.until(60_500);
  expect(looks).toEqual([0, 1000, 60_000]);
});
