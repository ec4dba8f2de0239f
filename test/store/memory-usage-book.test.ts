import { MemoryUsageBook } from '../../store/memory-usage-book.ts';
import { usageBookSuite } from './usage-book-suite.ts';

usageBookSuite('a book in memory', async () => {
  let passedMs = 0;
  const book = new MemoryUsageBook({ now: () => Date.now() + passedMs });
  return {
    book,
    async age(ms) {
      passedMs += ms;
    },
  };
});
