// One line on a terminal that is written over as something grows, and wiped at its end.

const barCells = 30;

export class StatusLine {
  readonly #stream: NodeJS.WriteStream;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show(line: string): void {
    this.#draw(line);
  }

  wipe(): void {
    this.#draw('');
  }

  #draw(line: string): void {
    // A terminal that does not know its width says 0.
    const columns = this.#stream.columns || 80;
    this.#stream.write(`\r\x1b[K${line.slice(0, Math.max(20, columns) - 1)}`);
  }
}

/** `[###...]` */
export function bar(share: number): string {
  const full = Math.floor(share * barCells);
  return `[${'#'.repeat(full)}${'.'.repeat(barCells - full)}]`;
}

export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`.padStart(5);
}
