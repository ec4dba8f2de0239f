// Run as a process of its own by crash.test.ts, which kills it: puts objects one after the other into the folder given,
// and says `begin NAME` and `end NAME` for each.
import { FsStore } from '../../store/fs-store.ts';
import { contentOf } from './crash-content.ts';

const store = new FsStore(process.argv[2] as string);
for (let i = 0; ; i++) {
  const name = `chunks/${i % 3}/${i}`;
  process.stdout.write(`begin ${name}\n`);
  await store.put(name, contentOf(name), { ifAbsent: i % 2 === 1 });
  process.stdout.write(`end ${name}\n`);
}
