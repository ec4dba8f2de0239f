// evoke settings: every setting, from the settings themselves, as a table that docs/operate.md carries too, or as JSON.
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

/** The same as values; `default` is null where there is none. */
export function settingsList(): { items: object[]; next: null } {
  const items = Object.values(settings).map(({ name, unit, default: given, meaning }) => ({
    name: `EVOKE_${name}`,
    default: given === '' ? null : given,
    unit,
    meaning,
  }));
  return { items, next: null };
}
