// What put-for-ever.ts stores under a name: large enough to be killed in the middle of, and different for every name.

export function contentOf(name: string): Buffer[] {
  return Array.from({ length: 8 }, (_, part) => Buffer.alloc(512 * 1024, `${name} ${part} `));
}
