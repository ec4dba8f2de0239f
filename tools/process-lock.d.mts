// Types of process-lock.mjs for the TypeScript that shares it.

/** A process as noted in a file: its pid and what tells it from others that had the pid. */
export interface NotedProcess {
  readonly pid: number;
  readonly started: string;
}

export interface ProcessLock<Notes> {
  /** What a killed owner had noted, when one was taken over. */
  readonly left: (Partial<NotedProcess> & Partial<Notes>) | undefined;
  note(notes: Partial<Notes>): void;
  release(): void;
}

export function processIdentity(pid: number): string | undefined;
export function stillRuns(noted: Partial<NotedProcess> | undefined): boolean;
export function readOwner<Notes>(file: string): (NotedProcess & Partial<Notes>) | undefined;
export function takeLock<Notes>(
  file: string,
  notes?: Partial<Notes>,
): Promise<{ lock: ProcessLock<Notes>; owner?: never } | { owner: NotedProcess & Partial<Notes>; lock?: never }>;
