// Where chunks are kept, as the setting STORE says it.

export type StoreLocation =
  | { readonly kind: 'file' /** Absolute. */; readonly folder: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      /** Empty, or ends with `/`. */
      readonly prefix: string;
      /** Of a server that is not Amazon's; buckets are then addressed by path. */
      readonly endpoint?: string;
      readonly region: string;
    };
