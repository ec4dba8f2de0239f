// placeholder
import type { StoreLocation } from '../core/store-location.ts';
import { MemoryStore } from './memory-store.ts';

export class S3Store extends MemoryStore {
  constructor(_location: Extract<StoreLocation, { kind: 's3' }>) {
    super();
  }
}
