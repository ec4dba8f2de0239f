// The connections under record batches: broken before they begin, slow, led elsewhere, and left.
import { once } from 'node:events';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { ConnectionError, Evoke } from '../../client/index.ts';
import { streamHead } from '../../formats/arrow-schema.ts';
import { endMarker } from '../../formats/ipc.ts';
import { encodeBatch } from '../../formats/record-batch.ts';
import { eventually } from '../eventually.ts';
import { expected, name, read, retries } from './batches.ts';
import { type Fault, StandIn } from './stand-in.ts';

let service: StandIn;
let evoke: Evoke;
beforeEach(async () => {
  service = await StandIn.start();
  evoke = new Evoke(service.url, { retries });
});

async function listening(server: ReturnType<typeof createServer> | ReturnType<typeof createHttpServer>) {
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  onTestFinished(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that speaks TCP only. */
async function raw(answer: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  return listening(server);
}

test('a service that is not there yet is waited for, and not for ever', async () => {
  const nobody = await raw((socket) => socket.resetAndDestroy());
  await expect(read(new Evoke(nobody, { retries }), 1, 8)).rejects.toBeInstanceOf(ConnectionError);
  let calls = 0;
  const late = await raw((socket) => {
    calls += 1;
    if (calls < 3) socket.resetAndDestroy();
    else
      socket.end(
        `HTTP/1.1 307 Temporary Redirect\r\nlocation: ${service.url}/v1/datasets/demo/zmumu/events/1-8?format=arrow\r\ncontent-length: 0\r\n\r\n`,
      );
  });
  expect(await read(new Evoke(late, { retries }), 1, 8)).toEqual(expected(1, 8));
});

test.each([
  ['garbage', 'no http at all, but more of it than a status line has\r\n\r\n'],
  ['headers without end', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(200_000)}\r\n\r\n`],
  ['an end within the headers', 'HTTP/1.1 200 OK\r\ncontent-le'],
  ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nx'],
  ['an endless redirection', 'HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n'],
  ['a chunk that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n'],
])('%s is a connection that does not answer: tried again, a few times', async (_, text) => {
  const server = await raw((socket) => socket.end(text));
  await expect(read(new Evoke(server, { retries }), 1, 8)).rejects.toBeInstanceOf(ConnectionError);
});

test('a token goes to the service, and not to where a redirection leads', async () => {
  const elsewhere = await StandIn.start();
  const redirect: Fault = {
    answer: (response, _, { url }) => response.writeHead(307, { location: `${elsewhere.url}${url}` }).end(),
  };
  service.faults = [redirect];
  const known = new Evoke(service.url, { retries, token: 'secret-1' });
  expect(await read(known, 1, 8)).toEqual(expected(1, 8));
  expect(service.tokens[0]).toBe('Bearer secret-1');
  expect(elsewhere.tokens).toEqual([undefined]);
  expect(() => new Evoke(service.url, { token: 'secret-2\r\nx: y' })).toThrow(/^(?!.*secret-2)/);
});

test('whoever leaves the loop leaves the connection, and nothing more is asked for', async () => {
  let closed = false;
  service.faults = [
    {
      answer: (response, body) => {
        response.on('close', () => {
          closed = true;
        });
        response.write(body.subarray(0, -1));
      },
    },
  ];
  for await (const batch of evoke.events(name, { startEvent: 1, lastEvent: 64 })) {
    expect(batch.startEvent).toBe(1);
    break;
  }
  await eventually(() => expect(closed).toBe(true));
  expect(service.requests).toHaveLength(1);
});

test.each(['before the call', 'before the headers', 'within the body', 'while it pauses'])(
  'a signal %s ends it with its reason, and the connection',
  async (when) => {
    const stop = new AbortController();
    const enough = new Error('enough');
    let closed = when === 'before the call' || when === 'while it pauses';
    const noteClose = (response: ServerResponse) => {
      response.on('close', () => {
        closed = true;
      });
    };
    if (when === 'before the call') stop.abort(enough);
    if (when === 'before the headers') {
      service.faults = [
        {
          answer: (response) => {
            noteClose(response);
            stop.abort(enough);
          },
        },
      ];
    }
    if (when === 'within the body') {
      service.faults = [
        {
          answer: (response, body) => {
            noteClose(response);
            response.write(body.subarray(0, 2000));
          },
        },
      ];
    }
    if (when === 'while it pauses') service.faults = [{ status: 503, retryAfter: '4' }];
    const { signal } = stop;
    const onProgress = ({ waiting }: { waiting?: unknown }) => waiting && stop.abort(enough);
    const take = async () => {
      for await (const _ of evoke.events(name, { startEvent: 1, lastEvent: 64, signal, onProgress }))
        stop.abort(enough);
    };
    await expect(take()).rejects.toBe(enough);
    await eventually(() => expect(closed).toBe(true));
    expect(service.requests.length).toBeLessThanOrEqual(1);
  },
);

test('an answer that trickles in, byte by byte, is as good', async () => {
  service.faults = [
    {
      answer: async (response, body) => {
        for (const byte of body.subarray(0, 600)) {
          if (!response.write(Uint8Array.of(byte))) await once(response, 'drain');
        }
        response.end(body.subarray(600));
      },
    },
  ];
  expect(await read(evoke, 1, 32)).toEqual(expected(1, 32));
});

test('whoever takes batches slowly slows the service, not the memory', async () => {
  const megabyte = 131_072;
  const batches = 64;
  const column = { name: 'x', type: 'float64', unit: '1', description: '' } as const;
  const values = Float64Array.from({ length: megabyte }, () => Math.random());
  const batch = encodeBatch([column], { events: megabyte, values: { x: values }, offsets: {} });
  const range = { first: 0, end: megabyte * batches };
  let sent = 0;
  const url = await listening(
    createHttpServer(async (request, response) => {
      if (request.method === 'HEAD') return response.end();
      response.write(streamHead([column], { derivationId: 'one', batchEvents: megabyte, range }));
      for (; sent < batches; sent++) if (!response.write(batch)) await once(response, 'drain');
      return response.end(endMarker);
    }),
  );
  const events = new Evoke(url).events(name, { startEvent: 1, lastEvent: range.end });
  await events.next();
  let before = -1;
  await eventually(
    () => {
      const now = sent;
      const stopped = now === before;
      before = now;
      expect(stopped).toBe(true);
    },
    { interval: 200 },
  );
  // What the two systems' buffers hold, and no more.
  expect(sent).toBeLessThan(batches / 2);
  let taken = 1;
  for await (const { events: count } of events) taken += count === megabyte ? 1 : 0;
  expect(taken).toBe(batches);
});
