// Builds the Express app from its collaborators. Listening is server.ts.
import type { RequestListener } from 'node:http';
import express from 'express';
import type { ApiDeps } from './deps.ts';
import type { Edge } from './exchange.ts';
import { mount } from './express-adapter.ts';
import { routes } from './routes.ts';

/** Strict in all that Express lets pass by default: case, trailing slashes, query strings. Bodies are read by the adapter. */
export function buildApp(edge: Edge, deps: ApiDeps): RequestListener {
  const app = express();
  app.enable('strict routing');
  app.enable('case sensitive routing');
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  return mount(app, routes, edge, deps);
}
