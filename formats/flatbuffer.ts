// Just enough of flatbuffers to read the headers of Arrow messages, every access bounds-checked, so that no input, however
// broken, can make a reader hang or allocate without limit (the library's own reader can be made to count to 2^31).

/** The bytes are not the Arrow stream they should be. Whoever knows which chunk it is says so to the outside. */
export class NotArrow extends Error {
  override readonly name = 'NotArrow';
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What `read` makes of the bytes. @throws NotArrow also where it would read beyond them. */
export function readTables<T>(bytes: Uint8Array, read: (view: DataView, root: number) => T): T {
  try {
    const view = viewOf(bytes);
    return read(view, view.getUint32(0, true));
  } catch (error) {
    if (error instanceof RangeError) throw new NotArrow('The metadata of a message points outside of itself.');
    throw error;
  }
}

/** Position of a table's field; undefined when it has its default. */
export function slot(view: DataView, table: number, index: number): number | undefined {
  const vtable = table - view.getInt32(table, true);
  const entry = 4 + 2 * index;
  if (entry >= view.getUint16(vtable, true)) return undefined;
  const offset = view.getUint16(vtable + entry, true);
  return offset === 0 ? undefined : table + offset;
}

/** Follows an offset. */
export function indirect(view: DataView, at: number): number {
  return at + view.getUint32(at, true);
}

/** Positions of a vector's elements of `bytes` each. */
export function elements(view: DataView, at: number | undefined, bytes: number): number[] {
  if (at === undefined) return [];
  const vector = indirect(view, at);
  const count = view.getUint32(vector, true);
  if (vector + 4 + bytes * count > view.byteLength) throw new NotArrow('A vector is longer than its message.');
  return Array.from({ length: count }, (_, i) => vector + 4 + bytes * i);
}

/** Tables of a vector of tables. */
export function tables(view: DataView, at: number | undefined): number[] {
  return elements(view, at, 4).map((element) => indirect(view, element));
}

export function text(view: DataView, at: number | undefined): string {
  if (at === undefined) return '';
  const string = indirect(view, at);
  const length = view.getUint32(string, true);
  if (string + 4 + length > view.byteLength) throw new NotArrow('A string is longer than its message.');
  return Buffer.from(view.buffer, view.byteOffset + string + 4, length).toString('utf8');
}

/** A length or position, int64. */
export function size(view: DataView, at: number): number {
  const value = Number(view.getBigInt64(at, true));
  if (!Number.isSafeInteger(value) || value < 0) throw new NotArrow('A length is negative or beyond all measure.');
  return value;
}
