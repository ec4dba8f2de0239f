// Types of on-path.mjs for the TypeScript that shares it.

export function findOnPath(command: string, path?: string): string | undefined;
