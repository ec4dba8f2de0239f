// The least an Express server can do with bytes it holds: the reference of the hit path.
import { readFileSync } from 'node:fs';
import express from 'express';

const body = readFileSync(process.argv[2] ?? '');
const app = express();
app.get('/body.arrows', (_request, response) => {
  response.writeHead(200, { 'Content-Type': 'application/vnd.apache.arrow.stream', 'Content-Length': body.length });
  response.end(body);
});
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address !== 'string') process.send?.(address.port);
});
