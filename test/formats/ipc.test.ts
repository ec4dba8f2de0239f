import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NotArrow, readFrame, readHead } from '../../formats/ipc.ts';
import { encodeBatch } from '../../formats/record-batch.ts';
import { columns, make } from './synthetic.ts';

const batch = encodeBatch(columns, make({ first: 0, end: 10 }));

test('a head says how many rows there are and where the buffers lie', () => {
  const frame = readFrame(batch, 0);
  expect(frame).toMatchObject({ at: 0, end: batch.length, head: { kind: 'batch', rows: 10, zstd: true } });
  if (frame?.head.kind !== 'batch') throw new Error('a batch was expected');
  const lists = columns.filter((column) => column.countedBy !== undefined).length;
  expect(frame.head.nodes).toHaveLength(columns.length + lists);
  expect(frame.head.regions).toHaveLength(2 * (columns.length + lists));
});

test('whatever the bytes are, a head is read or refused, quickly and never otherwise', () => {
  const read = (bytes: Uint8Array): void => {
    try {
      readHead(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(NotArrow);
    }
  };
  const metadata = batch.subarray(8, readFrame(batch, 0)?.headBytes);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), read), { numRuns: 2000 });
  fc.assert(
    fc.property(fc.nat({ max: metadata.length - 4 }), fc.uint8Array({ minLength: 1, maxLength: 4 }), (at, bytes) => {
      const changed = metadata.slice();
      changed.set(bytes, at);
      read(changed);
    }),
    { numRuns: 3000 },
  );
});

test('a cut frame is refused wherever the cut is', () => {
  for (let length = 0; length < batch.length; length += 7) {
    expect(() => readFrame(batch.subarray(0, length), 0), `${length} bytes`).toThrow(NotArrow);
  }
});
