// A light client: one request over a kept connection, its body read to the end and thrown away.
import { type Agent, type IncomingHttpHeaders, request } from 'node:http';

export interface Timed {
  /** Until the whole body was there. */
  readonly ms: number;
  readonly headers: IncomingHttpHeaders;
}

export function timed(agent: Agent, url: string): Promise<Timed> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    request(url, { agent }, (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode === 200) resolve({ ms: performance.now() - began, headers: response.headers });
        else reject(new Error(`${url} answered ${response.statusCode}`));
      });
      response.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}
