// evoke settings: every setting as a table, from the settings themselves; docs/operate.md carries the same text.
import { settings } from '../config/settings.ts';

/** A Markdown table with a row per setting. */
export function settingsTable(): string {
  const rows = Object.values(settings).map(({ name, unit, default: given, meaning }) => {
    // The one default that depends on the machine.
    const byDefault = name === settings.workerThreads.name ? 'the cores' : given === '' ? '' : `\`${given}\``;
    return `| \`EVOKE_${name}\` | ${byDefault} | ${unit} | ${meaning} |`;
  });
  return ['| variable | default | unit | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
