// Declaring datasets that are derived from others, or dealt out to files, and looking at them.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestService } from './harness.ts';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ env: { EVOKE_CHAIN_LINKS: '3', EVOKE_CHUNK_SECONDS: '0.1' } });
  await service.declare('base', { generator: 'quick', events: 1000 });
  await service.declare('zmumu', { generator: 'ee_mumu', events: 1000 });
  await service.declare('first', { generator: 'derived', events: 500, input: 'test:base' });
});
afterAll(() => service.stop());

const derived = { generator: 'derived', seed: 1, events: 500, input: 'test:base' };
const path = (name: string) => `/v1/datasets/test/${name}`;

async function refusals(body: object, name = 'refused'): Promise<{ path: string; message: string }[]> {
  const reply = await service.put(path(name), body);
  expect(reply.status, reply.text()).toBe(422);
  expect(reply.json()).toMatchObject({ code: 'INVALID_DECLARATION' });
  return reply.json().errors;
}

test('a derived dataset shows its input as declared, and the chain of derivations behind it', async () => {
  const base = (await service.call(path('base'))).json();
  const first = (await service.call(path('first'))).json();
  const second = await service.put(path('second'), { ...derived, seed: 2, events: 100, input: 'test:first' });
  expect(second.status).toBe(201);
  const ofBase = { dataset: 'test:base', generator: 'quick', version: '1', parameters: {}, seed: 1 };
  const ofFirst = { dataset: 'test:first', generator: 'derived', version: '1', parameters: {}, seed: 1 };
  expect(second.json()).toMatchObject({ input: 'test:first', derivation: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(second.json().inputs).toEqual([
    { ...ofFirst, derivation: first.derivation },
    { ...ofBase, derivation: base.derivation },
  ]);
  expect(first.inputs).toEqual([{ ...ofBase, derivation: base.derivation }]);
  expect(base).not.toHaveProperty('input');
  expect(base).not.toHaveProperty('inputs');
  const { items } = (await service.call('/v1/datasets')).json();
  const listed = items.find((item: { name: string }) => item.name === 'second');
  expect(listed).toMatchObject({ input: 'test:first', seed: 2 });
  expect(listed).not.toHaveProperty('inputs');
});

test('the input is part of the identity: another input, or another seed of it, is another derivation', async () => {
  await service.declare('base_2', { generator: 'quick', seed: 2, events: 1000 });
  // The same derivation under another name is the same input.
  await service.declare('base_alias', { generator: 'quick', seed: 1, events: 2000, chunkEvents: 10 });
  const idOf = async (name: string, input: string) => {
    const reply = await service.put(path(name), { ...derived, input });
    expect(reply.status, reply.text()).toBe(201);
    return reply.json().derivation;
  };
  const first = (await service.call(path('first'))).json().derivation;
  expect(await idOf('other_input', 'test:base_2')).not.toBe(first);
  expect(await idOf('same_input', 'test:base_alias')).toBe(first);
});

test('the CPU of a chunk is bounded with all that is made again on the way to it', async () => {
  const events = 1_000_000;
  const chunkEventsOf = async (name: string, body: object) => {
    const reply = await service.put(path(name), { ...derived, events, ...body });
    expect(reply.status, reply.text()).toBe(201);
    return reply.json().chunkEvents;
  };
  // A microsecond per event and link, and a tenth of a second per chunk: 100 000, 50 000, 25 000.
  expect(await chunkEventsOf('cost_1', { generator: 'quick', input: undefined })).toBe(65_536);
  expect(await chunkEventsOf('cost_2', { input: 'test:cost_1' })).toBe(32_768);
  await chunkEventsOf('cost_3', { input: 'test:cost_2' });
  expect(await chunkEventsOf('cost_4', { input: 'test:cost_3' })).toBe(16_384);
});

test('the same declared again is 200, with the input left out or named', async () => {
  for (const again of [derived, { generator: 'derived', seed: 1, events: 500 }]) {
    expect((await service.put(path('first'), again)).status).toBe(200);
  }
});

test('another input, or files, under a taken name is 409 and names the field', async () => {
  const files = { eventsPerFile: 10, lfn: 'first.{n:06}.root' };
  for (const [body, field] of [
    [{ ...derived, input: 'test:zmumu' }, '/input'],
    [{ ...derived, input: 'test:nobody' }, '/input'],
    [{ ...derived, files }, '/files'],
  ] as const) {
    const reply = await service.put(path('first'), body);
    expect(reply.status).toBe(409);
    expect(reply.json().errors.map((error: { path: string }) => error.path)).toEqual([field]);
  }
  const clash = await service.put(path('base'), { ...derived, events: 1000 });
  expect(clash.status).toBe(409);
  expect(clash.json().errors).toContainEqual({ path: '/input', message: 'is not declared there' });
});

test.each([
  ['no input for a generator that reads one', { input: undefined }, /reads another dataset/],
  ['an input that is not declared', { input: 'test:nobody' }, /test:nobody is not declared/],
  ['an input that is no name', { input: 'nobody' }, /write scope:name/],
  ['an input with three parts', { input: 'a:b:c' }, /write scope:name/],
  ['an input out of the catalog', { input: '..:x' }, /write scope:name/],
  ['an input that is a number', { input: 7 }, /string/],
  ['an input that is null', { input: null }, /string/],
  ['an input with fewer events', { events: 1001 }, /test:base has 1000 events only/],
  ['an input without the columns that are read', { input: 'test:zmumu' }, /has no value, which derived reads/],
  ['itself', { input: 'test:refused' }, /test:refused is not declared/],
])('%s is refused', async (_, change, message) => {
  const errors = await refusals({ ...derived, ...change });
  expect(errors).toEqual([{ path: '/input', message: expect.stringMatching(message) }]);
});

test('everything that speaks against an input is said at once, with all that is wrong otherwise', async () => {
  await service.declare('bad', { generator: 'ee_mumu', events: 10 });
  await service.put(`${path('bad')}/retired`);
  const errors = await refusals({
    ...derived,
    seed: -1,
    input: 'test:bad',
    parameters: { no: 1 },
    files: { eventsPerFile: 0, lfn: '../x' },
  });
  expect(errors.map((error) => error.path).sort()).toEqual(
    ['/files/eventsPerFile', '/files/lfn', '/input', '/input', '/input', '/parameters/no', '/seed'].sort(),
  );
  const said = errors.filter((error) => error.path === '/input').map((error) => error.message);
  expect(said.join('; ')).toMatch(/retired; .*10 events only; .*has no value/);
});

test('an input with a generator that reads none is refused, whatever it names', async () => {
  for (const input of ['test:base', 'test:nobody']) {
    const errors = await refusals({ generator: 'quick', seed: 1, events: 1, input });
    expect(errors).toEqual([{ path: '/input', message: 'quick reads no other dataset' }]);
  }
});

test('a chunk over 8 MiB is refused for a derived dataset too', async () => {
  expect(await refusals({ ...derived, chunkEvents: 10_000_000 })).toMatchObject([{ path: '/chunkEvents' }]);
});

test('a chain has as many links as the setting says, and no more', async () => {
  let input = 'test:base';
  for (let link = 1; link <= 3; link++) {
    await service.declare(`link_${link}`, { ...derived, seed: link, input });
    input = `test:link_${link}`;
  }
  expect((await service.call(path('link_3'))).json().inputs).toHaveLength(3);
  expect(await refusals({ ...derived, input })).toEqual([
    { path: '/input', message: expect.stringMatching(/4 inputs .* may be 3/) },
  ]);
});

test('a cycle cannot be declared: an input is there before what reads it, and what is there never changes', async () => {
  // Each names the other: whichever comes first names one that is not there.
  await refusals({ ...derived, input: 'test:egg' }, 'hen');
  await refusals({ ...derived, input: 'test:hen' }, 'egg');
  await refusals({ ...derived, input: 'test:hen' }, 'hen');
  // Nor can what is there be turned round.
  await service.declare('egg', derived);
  await service.declare('hen', { ...derived, input: 'test:egg' });
  const turned = await service.put(path('egg'), { ...derived, input: 'test:hen' });
  expect(turned.status).toBe(409);
  expect((await service.call(path('egg'))).json().inputs.map((link: { dataset: string }) => link.dataset)).toEqual([
    'test:base',
  ]);
});

test('of many declarations of one name with different inputs at once, one wins and the others are told', async () => {
  const inputs = ['test:base', 'test:first', 'test:base', 'test:first', 'test:base', 'test:first'];
  const replies = await Promise.all(inputs.map((input) => service.put(path('race'), { ...derived, input })));
  const winner = replies.find((reply) => reply.status === 201)?.json().input;
  expect(replies.map((reply) => reply.status).sort()).toEqual([200, 200, 201, 409, 409, 409]);
  expect((await service.call(path('race'))).json().input).toBe(winner);
});

test('what is derived is no more reproducible than what it is derived from', async () => {
  await service.declare('loose', { generator: 'statistical', events: 500 });
  await service.declare('machine', { generator: 'platform', events: 500 });
  const shown = async (name: string, input: string) =>
    (await service.put(path(name), { ...derived, input })).json().reproducibility;
  expect(await shown('on_loose', 'test:loose')).toBe('statistical');
  expect(await shown('on_on_loose', 'test:on_loose')).toBe('statistical');
  expect(await shown('on_machine', 'test:machine')).toBe('platform');
  expect(await shown('on_exact', 'test:base')).toBe('exact');
});

test('a retired input is no input any more; what was derived from it goes on, and says so', async () => {
  await service.declare('wrong', { generator: 'quick', seed: 66, events: 500 });
  await service.declare('on_wrong', { ...derived, input: 'test:wrong' });
  await service.declare('on_on_wrong', { ...derived, input: 'test:on_wrong' });
  await service.put(`${path('wrong')}/retired`);
  const shown = (await service.call(path('on_on_wrong'))).json();
  expect(shown).toMatchObject({ retired: false, inputs: [{ dataset: 'test:on_wrong' }, { retired: true }] });
  expect(shown.inputs[0]).not.toHaveProperty('retired');
  expect((await service.call(`${path('on_wrong')}/plan/1-10`)).status).toBe(200);
  expect(await refusals({ ...derived, input: 'test:wrong' })).toMatchObject([{ message: 'test:wrong is retired' }]);
  // The same declaration as before is still the same.
  expect((await service.put(path('on_wrong'), { ...derived, input: 'test:wrong' })).status).toBe(200);
});

test('generators say what they read', async () => {
  const { items } = (await service.call('/v1/generators')).json();
  const named = (name: string) => items.find((item: { name: string }) => item.name === name);
  expect(named('derived')).toMatchObject({ input: 'required', inputColumns: ['value'] });
  expect(named('quick')).not.toHaveProperty('inputColumns');
});

test('the provenance of a derived chunk that is not stored names what it will be made of', async () => {
  await service.declare('unmade', { ...derived, events: 100, chunkEvents: 10, input: 'test:first' });
  const { inputs, state } = (await service.call(`${path('unmade')}/provenance/3`)).json();
  expect(state).toBe('virtual');
  expect(inputs.map((link: { dataset: string }) => link.dataset)).toEqual(['test:first', 'test:base']);
  expect(inputs[0].derivation).toMatchObject({ generator: 'derived', input: inputs[1].derivationId });
});

test('what the plan says of an input is what is done then, and the provenance tells it', async () => {
  const base = await service.declare('plan_base', { generator: 'quick', seed: 5, events: 12_000, chunkEvents: 2000 });
  const made = await service.declare('planned', {
    generator: 'derived',
    events: 12_000,
    chunkEvents: 4000,
    input: 'test:plan_base',
  });
  expect((await service.call(`${base}/events/1-6000`)).status).toBe(200);
  const [run] = (await service.call(`${made}/plan/1-12000`)).json().runs;
  expect(run).toMatchObject({ firstChunk: 0, lastChunk: 2, means: 'generate' });
  const planned = { dataset: 'test:plan_base', means: 'both', chunksRead: 3, eventsRemade: 6000 };
  expect(run.inputs).toMatchObject([planned]);
  // A microsecond for each of 12 000 events, and for each of 6000 of the input.
  expect(run.inputs[0].cpuSeconds).toBeCloseTo(0.006);
  expect(run.cpuSeconds).toBeCloseTo(0.018);

  expect((await service.call(`${made}/events/1-12000`)).status).toBe(200);
  const uses = [];
  for (const chunk of [0, 1, 2]) {
    const { state, inputs } = (await service.call(`${made}/provenance/${chunk}`)).json();
    expect(state).toBe('materialized');
    uses.push(...inputs);
  }
  expect(uses.map(({ readEvents, remadeEvents }) => [readEvents, remadeEvents])).toEqual([
    [4000, 0],
    [2000, 2000],
    [0, 4000],
  ]);
  expect(uses[0]).toMatchObject({ dataset: 'test:plan_base', derivation: { generator: 'quick', seed: 5 } });
});

test('a dataset with files says so in its description and in the list, and is the same again with or without them', async () => {
  const files = { eventsPerFile: 30, lfn: 'EVNT.{n:06}.pool.root.1' };
  const body = { generator: 'quick', seed: 1, events: 100, files };
  const made = await service.put(path('filed'), body);
  expect(made.status).toBe(201);
  expect(made.json()).toMatchObject({ files });
  expect((await service.put(path('filed'), body)).status).toBe(200);
  expect((await service.put(path('filed'), { ...body, files: undefined })).status).toBe(200);
  for (const other of [
    { ...files, eventsPerFile: 31 },
    { ...files, lfn: 'EVNT.{n}.pool.root.1' },
  ]) {
    const reply = await service.put(path('filed'), { ...body, files: other });
    expect(reply.status).toBe(409);
    expect(reply.json().errors).toEqual([{ path: '/files', message: expect.stringContaining('EVNT.{n:06}') }]);
  }
  const { items } = (await service.call('/v1/datasets')).json();
  expect(items.find((item: { name: string }) => item.name === 'filed')).toMatchObject({ files });
});

test('files that would have the names of others in the scope are refused; those of a retired dataset are free again', async () => {
  const declare = (name: string, lfn: string, events = 100, scope = 'names') =>
    service.put(`/v1/datasets/${scope}/${name}`, {
      generator: 'quick',
      seed: 1,
      events,
      files: { eventsPerFile: 1, lfn },
    });
  expect((await declare('one', 'f.{n}')).status).toBe(201);
  const clashing = [
    ['two', 'f.{n}', 5],
    // They meet at the first number with as many digits as are padded to.
    ['two', 'f.{n:02}', 10],
    ['two', 'f.1{n}', 5],
    // A dataset's own name is the name of all of its events.
    ['own.7', 'own.{n}', 7],
  ] as const;
  for (const [name, lfn, events] of clashing) {
    const reply = await declare(name, lfn, events);
    expect(reply.status, lfn).toBe(422);
    expect(reply.json().errors).toEqual([
      { path: '/files/lfn', message: expect.stringMatching(/^gives file \d+ the name/) },
    ]);
  }
  expect((await declare('apart', 'f.{n:03}', 99)).status).toBe(201);
  expect((await declare('own.8', 'own.{n}', 7)).status).toBe(201);
  expect((await declare('two', 'f.{n}', 5, 'others')).status).toBe(201);
  await service.put('/v1/datasets/names/one/retired');
  expect((await declare('two', 'f.{n}', 5)).status).toBe(201);
});

test.each([
  ['no pattern', { eventsPerFile: 1 }, ['/files/lfn']],
  ['no count', { lfn: 'f{n}' }, ['/files/eventsPerFile']],
  ['no number in the pattern', { eventsPerFile: 1, lfn: 'f' }, ['/files/lfn']],
  ['two numbers in the pattern', { eventsPerFile: 1, lfn: 'f{n}{n}' }, ['/files/lfn']],
  ['a path', { eventsPerFile: 1, lfn: 'a/{n}' }, ['/files/lfn']],
  ['a line break', { eventsPerFile: 1, lfn: 'a{n}\n' }, ['/files/lfn']],
  ['a pattern without end', { eventsPerFile: 1, lfn: `${'a'.repeat(300)}{n}` }, ['/files/lfn']],
  ['half a file', { eventsPerFile: 0.5, lfn: 'f{n}' }, ['/files/eventsPerFile']],
  ['more than can be counted', { eventsPerFile: 2 ** 53, lfn: 'f{n}' }, ['/files/eventsPerFile']],
  ['something else', { eventsPerFile: 1, lfn: 'f{n}', guid: 'x' }, ['/files/guid']],
  ['a text', 'f{n}', ['/files']],
  ['null', null, ['/files']],
])('files with %s are refused', async (_, files, paths) => {
  const errors = await refusals({ generator: 'quick', seed: 1, events: 100, files });
  expect(errors.map((error) => error.path)).toEqual(paths);
});
