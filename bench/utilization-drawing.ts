// Threads at work over time, as an SVG that reads on paper and on any background.

export interface Panel {
  readonly title: string;
  readonly threads: number;
  /** What the horizontal axis reaches to. */
  readonly seconds: number;
  /** Threads busy in equal parts of that time. */
  readonly queue: readonly number[];
  readonly partition: readonly number[];
}

const width = 720;
const panelHeight = 190;
const left = 56;
const right = 20;
const top = 34;
const bottom = 40;
const plotWidth = width - left - right;
const plotHeight = panelHeight - top - bottom;

const queueColour = '#2f6db3';
const partitionColour = '#c2571a';

/** The panels under each other, below one line that says what the colours are. */
export function drawing(panels: readonly Panel[]): string {
  const height = 30 + panels.length * panelHeight;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#222">
<title>Worker threads busy over time, from a queue and with a static partition</title>
<rect width="${width}" height="${height}" fill="#fff"/>
<rect x="${left}" y="11" width="14" height="12" fill="${queueColour}" fill-opacity="0.35" stroke="${queueColour}"/>
<text x="${left + 20}" y="21">threads busy, chunks from the queue</text>
<path d="M${left + 270} 17h24" stroke="${partitionColour}" stroke-width="2"/>
<text x="${left + 300}" y="21">the same chunks, dealt out beforehand in equal parts</text>
${panels.map((panel, index) => `<g transform="translate(0 ${30 + index * panelHeight})">\n${drawn(panel)}\n</g>`).join('\n')}
</svg>
`;
}

function drawn({ title, threads, seconds, queue, partition }: Panel): string {
  const y = (busy: number) => (top + plotHeight * (1 - busy / threads)).toFixed(1);
  const base = top + plotHeight;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const x = left + share * plotWidth;
    return `<path d="M${x} ${base}v4" stroke="#222"/><text x="${x}" y="${base + 17}" text-anchor="middle">${label(share * seconds)}</text>`;
  });
  const levels = [0, threads / 2, threads].map(
    (level) =>
      `<path d="M${left} ${y(level)}h${plotWidth}" stroke="#ddd"/><text x="${left - 8}" y="${Number(y(level)) + 4}" text-anchor="end">${level}</text>`,
  );
  return [
    `<text x="${left}" y="${top - 12}" font-weight="bold">${title}</text>`,
    ...levels,
    `<path d="M${left} ${base}${steps(queue, y)}V${base}z" fill="${queueColour}" fill-opacity="0.35" stroke="${queueColour}"/>`,
    `<path d="M${left} ${base}${steps(partition, y)}V${base}" fill="none" stroke="${partitionColour}" stroke-width="2"/>`,
    `<path d="M${left} ${top}V${base}h${plotWidth}" fill="none" stroke="#222"/>`,
    ...ticks,
    `<text x="${left + plotWidth}" y="${base + 34}" text-anchor="end">seconds</text>`,
  ].join('\n');
}

/** A line of equal steps across the plot. */
function steps(values: readonly number[], y: (busy: number) => string): string {
  const step = plotWidth / values.length;
  return values.map((value, index) => `V${y(value)}H${(left + (index + 1) * step).toFixed(1)}`).join('');
}

function label(seconds: number): string {
  return String(Number(seconds.toPrecision(2)));
}
