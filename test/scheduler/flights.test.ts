// Single flight within a process, against a queue and a store that lose, lie and go away.
import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { EvokeError } from '../../core/errors.ts';
import { codeOf, jobOf, workOn } from './fakes.ts';
import { dataset, job, setUp } from './flying.ts';
import { settle } from './manual-time.ts';

const { key } = job;

test('ten callers for one absent chunk cause one generation', async () => {
  const { queue, flights, land } = setUp();
  const landings = Array.from({ length: 10 }, () => flights.board(job));
  await settle();
  expect(queue.added).toHaveLength(1);
  land();
  const landed = await Promise.all(landings);
  expect(landed.map(({ joined }) => joined)).toEqual([false, ...Array(9).fill(true)]);
  expect(landed.every(({ generated, bytes }) => generated && bytes === 100)).toBe(true);
  expect(flights.size).toBe(0);
  expect(flights.stats).toMatchObject({ boarded: 10, landed: 10, joined: 9, failed: 0, left: 0 });
});

test('a chunk ordered by another process is joined, and says so', async () => {
  const { queue, flights, land } = setUp();
  await queue.add(job, 'interactive');
  const landing = flights.board(job);
  await settle();
  land();
  expect(await landing).toMatchObject({ joined: true, generated: false });
});

test('the time of a landing is told apart into waiting and work', async () => {
  const { time, flights, land } = setUp();
  const landing = flights.board(job);
  await time.pass(1000);
  land();
  expect(await landing).toMatchObject({ queueMs: 960, workMs: 40 });
});

test('an event that comes before the order is confirmed is not missed', async () => {
  const { queue, chunks, flights } = setUp();
  workOn(queue, chunks);
  expect(await codeOf(flights.board(job))).toBe('fulfilled');
});

test('a failed flight rejects every waiter with event, attempts and last words, and clears its entry', async () => {
  const { queue, flights } = setUp();
  const landings = [flights.board(job), flights.board(job), flights.board(job)];
  const codes = Promise.all(landings.map(codeOf));
  await settle();
  queue.fail(key, { event: 17 });
  expect(await codes).toEqual(Array(3).fill('GENERATION_FAILED'));
  await expect(landings[0]).rejects.toMatchObject({ details: { event: 17, attempts: 3, lastWords: 'the last words' } });
  expect(flights.size).toBe(0);
});

test('a failure is remembered for sixty seconds, then the chunk is tried again', async () => {
  const { time, queue, flights, land } = setUp();
  const first = codeOf(flights.board(job));
  await settle();
  queue.fail(key, { event: 17 });
  await first;
  await time.pass(59_000);
  await expect(flights.board(job)).rejects.toMatchObject({
    code: 'GENERATION_FAILED',
    details: { event: 17, attempts: 3 },
  });
  expect(queue.added).toHaveLength(1);
  expect(flights.stats.refused).toBe(1);
  await time.pass(1_001);
  const again = flights.board(job);
  await settle();
  expect(queue.added).toHaveLength(2);
  land();
  expect(await codeOf(again)).toBe('fulfilled');
});

test('a failure that another process suffered is remembered too, until the chunk is made after all', async () => {
  const { queue, flights } = setUp();
  queue.emit('failed', { key, code: 'GENERATION_FAILED', detail: 'no', attempts: 3 });
  expect(await codeOf(flights.board(job))).toBe('GENERATION_FAILED');
  queue.emit('done', { key, bytes: 1, cpuSeconds: 1, generated: true, workMs: 1 });
  expect(flights.failureOf(key)).toBeUndefined();
});

test('a full store is told as such, and given a new try after five seconds', async () => {
  const { time, queue, flights } = setUp();
  const first = codeOf(flights.board(job));
  await settle();
  queue.fail(key, { code: 'STORE_UNAVAILABLE', detail: 'no space' });
  expect(await first).toBe('STORE_UNAVAILABLE');
  expect(await codeOf(flights.board(job))).toBe('STORE_UNAVAILABLE');
  await time.pass(5_001);
  void codeOf(flights.board(job));
  await settle();
  expect(queue.added).toHaveLength(2);
});

test('remembered failures are bounded', async () => {
  const { queue, flights } = setUp();
  for (let i = 0; i < 5000; i++) {
    queue.emit('failed', { key: `${key}-${i}`, code: 'GENERATION_FAILED', detail: 'no', attempts: 3 });
  }
  expect(flights.failureOf(`${key}-0`)).toBeUndefined();
  expect(flights.failureOf(`${key}-4999`)).toBeInstanceOf(EvokeError);
});

test('one waiter that goes away fails nobody else', async () => {
  const { queue, flights, land } = setUp();
  const leaving = new AbortController();
  const gone = codeOf(flights.board(job, { signal: leaving.signal }));
  const stays = flights.board(job);
  await settle();
  leaving.abort(new Error('the client left'));
  expect(await gone).toBe('the client left');
  await settle();
  expect(queue.withdrawn).toEqual([]);
  land();
  expect(await codeOf(stays)).toBe('fulfilled');
  expect(flights.stats).toMatchObject({ left: 1, landed: 1 });
});

test('a waiter with an aborted signal orders nothing', async () => {
  const { queue, flights } = setUp();
  expect(await codeOf(flights.board(job, { signal: AbortSignal.abort(new Error('gone')) }))).toBe('gone');
  await settle();
  expect([queue.added.length, flights.size, flights.stats.boarded, flights.stats.left]).toEqual([0, 0, 0, 1]);
});

test('when the last waiter leaves, work that was not started is withdrawn', async () => {
  const { time, queue, flights } = setUp();
  const leaving = new AbortController();
  const codes = Promise.all([1, 2].map(() => codeOf(flights.board(job, { signal: leaving.signal }))));
  await settle();
  leaving.abort(new Error('gone'));
  expect(await codes).toEqual(['gone', 'gone']);
  await settle();
  expect(queue.withdrawn).toEqual(['job-1']);
  expect([flights.size, queue.jobs.size, time.alarms]).toEqual([0, 0, 0]);
  expect(flights.stats.withdrawn).toBe(1);
});

test('when the last waiter leaves, started work goes on', async () => {
  const { queue, flights } = setUp();
  const leaving = new AbortController();
  const gone = codeOf(flights.board(job, { signal: leaving.signal }));
  await settle();
  queue.begin(key);
  leaving.abort();
  await gone;
  await settle();
  expect(queue.standing(key)?.fate.state).toBe('generating');
});

test("another process's order is left standing when the last waiter of this one leaves", async () => {
  const { queue, flights } = setUp();
  await queue.add(job, 'interactive');
  const leaving = new AbortController();
  const gone = codeOf(flights.board(job, { signal: leaving.signal }));
  await settle();
  leaving.abort();
  await gone;
  await settle();
  expect(queue.withdrawn).toEqual([]);
  expect(flights.size).toBe(0);
});

test('whoever comes while the order is being placed for nobody takes it over', async () => {
  const { queue, flights, land } = setUp();
  const leaving = new AbortController();
  const gone = codeOf(flights.board(job, { signal: leaving.signal }));
  leaving.abort(new Error('gone'));
  const next = flights.board(job);
  expect(await gone).toBe('gone');
  await settle();
  expect([queue.added.length, queue.withdrawn.length]).toEqual([1, 0]);
  land();
  expect(await codeOf(next)).toBe('fulfilled');
});

test('an order that is placed while its chunk is told to have failed is taken back', async () => {
  const { queue, flights } = setUp();
  const placing = Promise.withResolvers<void>();
  const add = queue.add.bind(queue);
  queue.add = async (order, priority) => {
    const added = await add(order, priority);
    await placing.promise;
    return added;
  };
  const landing = codeOf(flights.board(job));
  await settle();
  queue.emit('failed', { key, code: 'GENERATION_FAILED', detail: 'of an earlier order', attempts: 3 });
  expect(await landing).toBe('GENERATION_FAILED');
  placing.resolve();
  await settle();
  expect([queue.withdrawn, queue.jobs.size, flights.size]).toEqual([['job-1'], 0, 0]);
});

test('a chunk asked for while its order is being withdrawn is ordered after that', async () => {
  const { queue, flights, land } = setUp();
  const withdrawal = Promise.withResolvers<void>();
  const withdraw = queue.withdraw.bind(queue);
  queue.withdraw = async (jobId) => {
    await withdrawal.promise;
    await withdraw(jobId);
  };
  const leaving = new AbortController();
  const gone = codeOf(flights.board(job, { signal: leaving.signal }));
  await settle();
  leaving.abort();
  await gone;
  await settle();
  const next = flights.board(job);
  await settle();
  expect(queue.asked).toBe(1);
  withdrawal.resolve();
  await settle();
  expect(queue.added).toHaveLength(2);
  land();
  expect(await next).toMatchObject({ joined: false });
});

test('a chunk stored between the look in the store and the look in the queue is found, not ordered again', async () => {
  const { time, queue, chunks, flights } = setUp();
  const landing = flights.board(job);
  await settle();
  const fate = queue.fate.bind(queue);
  queue.fate = async (jobId) => {
    chunks.put(dataset, 3);
    queue.flush();
    return fate(jobId);
  };
  await time.pass(2_000);
  expect(await codeOf(landing)).toBe('fulfilled');
  expect(queue.asked).toBe(1);
});

test('a signal that outlives many landings is not left with listeners', async () => {
  const { queue, chunks, flights } = setUp();
  workOn(queue, chunks);
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 20 }, (_, index) => flights.board(jobOf(dataset, index), { signal })));
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('a waiter past its deadline is told so, and the others wait on', async () => {
  const { time, flights, land } = setUp({ waitMs: 60_000 });
  const impatient = codeOf(flights.board(job, { waitMs: 1_000 }));
  const patient = flights.board(job);
  await time.pass(1_000);
  expect(await impatient).toBe('OVERLOADED');
  land();
  expect(await codeOf(patient)).toBe('fulfilled');
});

test('a lost event costs two seconds', async () => {
  const { time, queue, flights, land } = setUp();
  queue.deaf = true;
  const landing = flights.board(job);
  await settle();
  land();
  await time.pass(1_999);
  expect(flights.size).toBe(1);
  await time.pass(1);
  expect(await codeOf(landing)).toBe('fulfilled');
  expect(flights.stats).toMatchObject({ lookedAgain: 1, readded: 0 });
});

test('a lost event about a failure is found out too', async () => {
  const { time, queue, flights } = setUp();
  queue.deaf = true;
  const landing = codeOf(flights.board(job));
  await settle();
  queue.fail(key);
  await time.pass(2_000);
  expect(await landing).toBe('GENERATION_FAILED');
  expect(flights.failureOf(key)).toBeInstanceOf(EvokeError);
});

test('a flushed queue is asked again within two seconds', async () => {
  const { time, queue, flights, land } = setUp();
  const landing = flights.board(job);
  await settle();
  queue.flush();
  await time.pass(2_000);
  expect(queue.added).toHaveLength(2);
  land();
  expect(await codeOf(landing)).toBe('fulfilled');
  expect(flights.stats.readded).toBe(1);
});

test('work that is queued or under way is waited for, not ordered again', async () => {
  const { time, queue, flights, land } = setUp();
  const landing = flights.board(job);
  await time.pass(10_000);
  queue.begin(key);
  await time.pass(10_000);
  expect(queue.added).toHaveLength(1);
  expect(flights.stats.lookedAgain).toBe(10);
  land();
  expect(await codeOf(landing)).toBe('fulfilled');
});

test('an order that another process withdrew is placed again at once', async () => {
  const { queue, flights, land } = setUp();
  const { jobId } = await queue.add(job, 'interactive');
  const landing = flights.board(job);
  await settle();
  await queue.withdraw(jobId);
  await settle();
  expect(queue.added).toHaveLength(2);
  land();
  // Ordered again, it is this process's own.
  expect(await landing).toMatchObject({ joined: false });
});

test('reported stored but absent once, the chunk is ordered again; twice, the store disagrees', async () => {
  const { queue, flights } = setUp();
  const landing = codeOf(flights.board(job));
  await settle();
  queue.finish(key);
  await settle();
  expect(queue.added).toHaveLength(2);
  queue.finish(key);
  expect(await landing).toBe('STORE_DISAGREES');
  expect(flights.size).toBe(0);
});

test('a second word about the same end is not a second disagreement', async () => {
  const { queue, flights, land } = setUp();
  const landing = flights.board(job);
  await settle();
  queue.finish(key);
  await settle();
  queue.emit('done', { key, bytes: 1, cpuSeconds: 1, generated: true, workMs: 1 });
  await settle();
  expect(queue.added).toHaveLength(2);
  land();
  expect(await codeOf(landing)).toBe('fulfilled');
});

test('over the bound of flights is an answer, and half of them is kept for what is needed now', async () => {
  const { flights } = setUp({ flightsMax: 4 });
  const board = (index: number, ahead = false) => codeOf(flights.board(jobOf(dataset, index), { ahead }));
  void board(0, true);
  void board(1, true);
  expect(await board(2, true)).toBe('OVERLOADED');
  void board(3);
  void board(4);
  expect(await board(5)).toBe('OVERLOADED');
  await settle();
  expect(flights.size).toBe(4);
  await expect(flights.board(jobOf(dataset, 6))).rejects.toMatchObject({
    status: 503,
    details: { retryAfterSeconds: 5 },
  });
  // Joining is always possible.
  void board(0);
  expect(flights.stats.boarded).toBe(5);
});

test('every path out of a flight is counted once', async () => {
  const { time, queue, flights, land } = setUp();
  const ends = [
    flights.board(job),
    flights.board(jobOf(dataset, 4), { waitMs: 10 }),
    flights.board(jobOf(dataset, 5)),
    flights.board(jobOf(dataset, 5)),
  ].map(codeOf);
  await settle();
  land();
  queue.fail(jobOf(dataset, 5).key);
  await time.pass(10);
  await Promise.all(ends);
  const { boarded, landed, failed, left } = flights.stats;
  expect({ boarded, landed, failed, left }).toEqual({ boarded: 4, landed: 1, failed: 2, left: 1 });
});
