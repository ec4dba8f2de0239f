// Entry of a marshalling thread: the result's bytes are moved, not copied.
import { move, transferableSymbol, valueSymbol } from 'piscina';
import type { MarshalTask } from './marshal-task.ts';
import { marshal } from './marshal-task.ts';

export default function run(task: MarshalTask) {
  const result = marshal(task);
  if (result.state !== 'done') return result;
  return move({ [transferableSymbol]: [result.bytes.buffer], [valueSymbol]: result });
}
