// Flights of batches: called back only where no worker has begun, and as urgent as the most urgent of those who wait.
import { expect, test } from 'vitest';
import { codeOf } from './fakes.ts';
import { job, setUp } from './flying.ts';
import { settle } from './manual-time.ts';

const { key } = job;

function recallable() {
  const recall = new AbortController();
  return { recall: recall.signal, back: () => recall.abort(new Error('called back')) };
}

test('an order that nobody has begun is taken back, and not placed again', async () => {
  const { flights, queue, time } = setUp();
  const { recall, back } = recallable();
  const left = codeOf(flights.board(job, { recall }));
  await settle();
  back();
  expect(await left).toBe('called back');
  await time.pass(10_000);
  expect([flights.size, queue.added.length, queue.jobs.size]).toEqual([0, 1, 0]);
  expect(flights.stats).toMatchObject({ boarded: 1, left: 1, withdrawn: 1, readded: 0 });
});

test('what was begun is waited for', async () => {
  const { flights, queue, time, land } = setUp();
  const { recall, back } = recallable();
  const landing = flights.board(job, { recall });
  await settle();
  queue.begin(key);
  back();
  await time.pass(10_000);
  land();
  expect(await landing).toMatchObject({ generated: true });
  expect(flights.stats).toMatchObject({ landed: 1, left: 0, readded: 0 });
});

test('a worker that begins between the look and the taking back is waited for', async () => {
  const { flights, queue, time, land } = setUp();
  const { recall, back } = recallable();
  const landing = flights.board(job, { recall });
  await settle();
  queue.withdraw = async () => queue.begin(key);
  back();
  await time.pass(10_000);
  land();
  expect(await landing).toMatchObject({ generated: true });
});

test('others who wait for the same chunk keep the order', async () => {
  const { flights, queue, land } = setUp();
  const { recall, back } = recallable();
  const left = codeOf(flights.board(job, { recall }));
  const stays = flights.board(job);
  await settle();
  back();
  expect(await left).toBe('called back');
  expect(queue.withdrawn).toEqual([]);
  land();
  expect(await stays).toMatchObject({ joined: true });
});

test('who comes while the order is being taken back gets one of their own', async () => {
  const { flights, queue, time, land } = setUp();
  const { recall, back } = recallable();
  const left = codeOf(flights.board(job, { recall }));
  await settle();
  const withdraw = queue.withdraw.bind(queue);
  let comes: Promise<unknown> = Promise.resolve();
  queue.withdraw = async (jobId) => {
    comes = flights.board(job);
    await withdraw(jobId);
  };
  back();
  expect(await left).toBe('called back');
  await time.pass(100);
  expect(queue.standing(key)).toBeDefined();
  land();
  await comes;
  expect(queue.added.length).toBe(2);
});

test("another process's order is left alone", async () => {
  const { flights, queue } = setUp();
  await queue.add(job, 'interactive');
  const { recall, back } = recallable();
  const left = codeOf(flights.board(job, { recall }));
  await settle();
  back();
  expect(await left).toBe('called back');
  await settle();
  expect([queue.withdrawn, queue.standing(key) !== undefined, flights.size]).toEqual([[], true, 0]);
});

test('who is called back before boarding orders nothing', async () => {
  const { flights, queue } = setUp();
  const { recall, back } = recallable();
  back();
  expect(await codeOf(flights.board(job, { recall }))).toBe('called back');
  await settle();
  expect(queue.asked).toBe(0);
});

test('an order is as urgent as the most urgent of those who wait, also when it is placed again', async () => {
  const { flights, queue, time, land } = setUp();
  const batch = flights.board(job, { priority: 'batch' });
  await settle();
  const other = flights.board(job, { priority: 'batch' });
  await settle();
  expect(queue.urgencies).toEqual(['batch']);
  const person = flights.board(job);
  await settle();
  expect(queue.urgencies).toEqual(['batch', 'interactive']);
  queue.flush();
  await time.pass(2_000);
  expect(queue.urgencies).toEqual(['batch', 'interactive', 'interactive']);
  land();
  // The order was this process's own all the time.
  expect(await Promise.all([batch, other, person])).toMatchObject([
    { joined: false },
    { joined: true },
    { joined: true },
  ]);
});

test('a batch is not refused for circumstances that it met a moment ago, but for a chunk that cannot be made', async () => {
  const { flights, queue } = setUp();
  const failed = codeOf(flights.board(job, { priority: 'batch' }));
  await settle();
  queue.fail(key, { code: 'STORE_UNAVAILABLE', detail: 'full' });
  expect(await failed).toBe('STORE_UNAVAILABLE');
  expect(await codeOf(flights.board(job))).toBe('STORE_UNAVAILABLE');
  const again = codeOf(flights.board(job, { priority: 'batch' }));
  await settle();
  expect(queue.added.length).toBe(2);
  queue.fail(key);
  expect(await again).toBe('GENERATION_FAILED');
  expect(await codeOf(flights.board(job, { priority: 'batch' }))).toBe('GENERATION_FAILED');
  expect(queue.added.length).toBe(2);
});
