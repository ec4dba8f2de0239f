import { MemoryStore } from '../../store/memory-store.ts';
import { storeSuite } from './conformance.ts';

storeSuite('memory', async () => new MemoryStore());
