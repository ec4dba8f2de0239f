import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LogFile, Troubles } from '../../cli/role-log.ts';
import { temporaryFolder } from '../temp.ts';

test('a log file keeps one predecessor, from before the start or from before it was full', async () => {
  const file = join(await temporaryFolder(), 'logs', 'api.log');
  const first = new LogFile(file, 100);
  first.write('of the first start');
  first.close();
  const log = new LogFile(file, 100);
  expect(await readFile(`${file}.1`, 'utf8')).toBe('of the first start\n');
  for (let i = 0; i < 12; i++) log.write(`line ${i} of some length`);
  log.close();
  const both = (await readFile(`${file}.1`, 'utf8')) + (await readFile(file, 'utf8'));
  expect(both.length).toBeLessThanOrEqual(200);
  expect(both.trim().split('\n').at(-1)).toBe('line 11 of some length');
});

test('warnings, errors and what is no log line are shown, the rest is not', () => {
  const shown: string[] = [];
  const troubles = new Troubles((line) => shown.push(line));
  troubles.see('{"level":30,"msg":"all is well"}');
  troubles.see('{"level":40,"msg":"hm"}');
  troubles.see('{"level":50,"msg":"no","err":{"message":"because"}}');
  troubles.see('RangeError: out of it');
  troubles.see('');
  troubles.see('null');
  expect(shown).toEqual(['hm', 'no: because', 'RangeError: out of it', 'null']);
});

test('a flood of troubles is cut short, and a later one is shown again', () => {
  const shown: string[] = [];
  let now = 0;
  const troubles = new Troubles(
    (line) => shown.push(line),
    () => now,
  );
  for (let i = 0; i < 1000; i++) troubles.see(`trouble ${i}`);
  expect(shown).toHaveLength(6);
  expect(shown.at(-1)).toContain('see the log');
  now = 20_000;
  troubles.see('later');
  expect(shown.at(-1)).toBe('later');
});
