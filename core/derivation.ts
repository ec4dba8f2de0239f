// The identity of event data: everything that can change the bytes of an event, and nothing else.
// Its id keys the random numbers, the chunks at rest and every ETag.
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** A transformation (generator@version) with parameters and seed bound. All defaults are filled in. */
export interface Derivation {
  readonly generator: string;
  readonly version: string;
  readonly parameters: JsonObject;
  /** 0 … 2^53 − 1. */
  readonly seed: number;
  /** Derivation id of the input dataset, for generators that read one. */
  readonly input?: string;
}

/** RFC 8785 (JSON Canonicalization Scheme) text of a value. */
export function canonicalJson(value: Json): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('A value without JSON form cannot be part of an identity.');
  return text;
}

/** SHA-256, 64 hex digits. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** The derivation's id: SHA-256 of its canonical JSON, 64 hex digits. */
export function derivationId(derivation: Derivation): string {
  const { generator, version, parameters, seed, input } = derivation;
  return sha256Hex(canonicalJson({ generator, version, parameters, seed, ...(input === undefined ? {} : { input }) }));
}
