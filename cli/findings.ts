// How evoke check speaks: a line for each finding as it is found, and a summary; or one JSON value, written as it grows,
// because there may be as many findings as objects.
import type { Finding } from '../store/inspection.ts';
import { printLine } from './output.ts';
import type { WalkLine } from './walk-line.ts';

export class Findings {
  readonly #json: boolean;
  readonly #status: WalkLine;
  #found = 0;
  #repaired = 0;

  constructor(json: boolean, status: WalkLine) {
    this.#json = json;
    this.#status = status;
  }

  /** Found and not repaired. */
  get left(): number {
    return this.#found - this.#repaired;
  }

  begin(store: string, use: string): void {
    const [storeJson, useJson] = [store, use].map((text) => JSON.stringify(text));
    if (this.#json) process.stdout.write(`{\n  "store": ${storeJson},\n  "use": ${useJson},\n  "findings": [`);
    else printLine(`${store}. ${use}`);
  }

  add(finding: Finding): void {
    const isFirst = this.#found === 0;
    this.#found++;
    if (finding.repaired) this.#repaired++;
    if (this.#json) process.stdout.write(`${isFirst ? '' : ','}\n    ${JSON.stringify(finding)}`);
    else {
      this.#status.wipe();
      printLine(`${finding.name}: ${finding.problem}${afterwards(finding)}`);
    }
  }

  /** `seen`: figures for the JSON. */
  end(looked: string, seen: Readonly<Record<string, number>>): void {
    this.#status.wipe();
    const found = this.#found;
    const repaired = this.#repaired;
    if (this.#json) {
      const figures = JSON.stringify({ ...seen, found, repaired, left: this.left });
      process.stdout.write(`${found === 0 ? '' : '\n  '}],\n  "summary": ${figures}\n}\n`);
    } else {
      const result = `${found} ${found === 1 ? 'finding' : 'findings'}, ${repaired} repaired.`;
      printLine(`${looked}: ${found === 0 ? 'all is well.' : result}`);
    }
  }
}

function afterwards({ repair, repaired }: Finding): string {
  if (repair === null) return ' It is left alone.';
  return repaired ? ` Repaired: ${repair}.` : ` With --repair ${repair}.`;
}
