import { MemoryHoldBook } from '../../store/memory-hold-book.ts';
import { holdBookSuite } from './hold-book-suite.ts';

holdBookSuite('holds in memory', async () => {
  let passedMs = 0;
  const book = new MemoryHoldBook({ now: () => Date.now() + passedMs });
  return {
    book,
    async age(ms) {
      passedMs += ms;
    },
  };
});
