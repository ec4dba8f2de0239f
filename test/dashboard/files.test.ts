// The page as files: it is whole, small, loads nothing from elsewhere, makes no markup of data, and can be read.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

const folder = new URL('../../dashboard/', import.meta.url);
const files = new Map(
  readdirSync(folder)
    .filter((name) => /\.(html|css|js)$/.test(name))
    .map((name) => [name, readFileSync(new URL(name, folder), 'utf8')]),
);
const page = files.get('index.html') ?? '';
const modules = [...files].filter(([name]) => name.endsWith('.js'));

test('what the page and its modules name is there, and nothing is there that nobody names', () => {
  const named = new Set(['index.html']);
  for (const [, path] of page.matchAll(/(?:src|href)="(?!data:)([^"]+)"/g))
    named.add((path ?? '').replace('page/', ''));
  for (const [, text] of modules) {
    for (const [, path] of text.matchAll(/from '([^']+)'/g)) {
      expect(path).toMatch(/^\.\//);
      named.add((path ?? '').slice(2));
    }
  }
  expect([...files.keys()].sort()).toEqual([...named].sort());
});

test('every element that a module looks for by its id is in the page', () => {
  const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]));
  expect(new Set(ids).size).toBe([...page.matchAll(/ id="/g)].length);
  for (const [name, text] of modules) {
    for (const [, id] of text.matchAll(/(?:byId|new Section)\('([^']+)'\)/g)) expect(ids, name).toContain(id);
  }
  for (const [, id] of page.matchAll(/aria-labelledby="([^"]+)"/g)) expect(ids).toContain(id);
});

test('nothing is loaded from elsewhere, and no policy is needed that lets code or style stand in the page', () => {
  for (const [name, text] of files) {
    const addresses = [...text.matchAll(/\b(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]+[^\s'"]*/gi)].map((match) => match[0]);
    expect(
      addresses.filter((address) => address !== 'http://www.w3.org/2000/svg'),
      name,
    ).toEqual([]);
  }
  expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?![^>]*src=)/);
});

test('no module makes markup or code of text', () => {
  const forbidden =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|eval\(|new Function/;
  for (const [name, text] of modules) expect(text, name).not.toMatch(forbidden);
});

test('all of it is less than 30 kB on its way to the browser', () => {
  const sizes = [...files.values()].map((text) => gzipSync(text, { level: 9 }).length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(30_000);
});

/** WCAG 2: relative luminance of `#rrggbb`. */
function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

const colours = new Map(
  [...(files.get('page.css') ?? '').matchAll(/--([a-z-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(
    ([, name, light, dark]) => [name ?? '', [light ?? '', dark ?? '']],
  ),
);

test.each([
  ['ink', 'paper', 7],
  ['muted', 'paper', 4.5],
  ['ink', 'raised', 7],
  ['bad', 'paper', 4.5],
  ['bad', 'raised', 4.5],
  ['accent', 'paper', 4.5],
  ['warn-ink', 'warn', 4.5],
  // What is stored against what is not, and against what is on its way.
  ['accent', 'line', 3],
  ['accent', 'pale', 3],
  ['bad', 'line', 3],
])('%s on %s has a contrast of at least %d to 1, in the light and in the dark', (front, back, least) => {
  for (const scheme of [0, 1]) {
    const pair = [colours.get(front)?.[scheme] ?? '', colours.get(back)?.[scheme] ?? ''] as const;
    expect(contrast(...pair), pair.join(' on ')).toBeGreaterThanOrEqual(least);
  }
});
