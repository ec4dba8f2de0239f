import { Bool, Field, Int16, Int64, List, MessageHeader, Schema, Utf8 } from 'apache-arrow';
import { MetadataVersion } from 'apache-arrow/enum';
import { Message } from 'apache-arrow/ipc/metadata/message';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arrowSchema, streamHead } from '../../formats/arrow-schema.ts';
import { frameHead, NotArrow } from '../../formats/ipc.ts';
import { fieldsOf, readFields } from '../../formats/schema-reader.ts';
import { columns, derivationId } from './synthetic.ts';

const identity = { derivationId, batchEvents: 64, range: { first: 9, end: 99 } };

test('a schema that was written is read: fields and types', () => {
  expect(readFields(streamHead(columns, identity))).toEqual(fieldsOf(columns));
});

test('the library reads units, descriptions and which events it is of from the same schema', () => {
  const head = streamHead(columns, identity);
  const schema = Message.decode(head.subarray(8)).header() as Schema;
  const field = schema.fields.find(({ name }) => name === 'GenPart_pt');
  expect(Object.fromEntries(field?.metadata ?? [])).toEqual({ unit: 'GeV', description: 'The GenPart_pt' });
  expect(field?.nullable).toBe(false);
  expect(schema.metadata).toEqual(arrowSchema(columns, identity).metadata);
  expect(schema.metadata.get('startEvent')).toBe('10');
  expect(schema.metadata.get('lastEvent')).toBe('99');
});

test.each([new Utf8(), new Bool(), new Int64(), new Int16(), new List(new Field('item', new Utf8(), false))])(
  'a field of type %s is refused',
  (type) => {
    const schema = new Schema([new Field('x', type, false)]);
    const head = frameHead(new Message(0, MetadataVersion.V5, MessageHeader.Schema, schema));
    expect(() => readFields(head)).toThrow(NotArrow);
  },
);

test('whatever the bytes are, a schema is read or refused, quickly and never otherwise', () => {
  const head = streamHead(columns, identity);
  const read = (bytes: Uint8Array): void => {
    try {
      readFields(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(NotArrow);
    }
  };
  for (let at = 0; at < head.length; at++) {
    for (const flip of [1, 0x80, 0xff]) {
      const changed = Buffer.from(head);
      changed[at] = (changed[at] as number) ^ flip;
      read(changed);
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), read));
});
