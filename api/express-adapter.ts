// The only file that knows Express: from the table of routes to an exchange for every request.
import type { RequestListener } from 'node:http';
import type { Express, NextFunction, Request, Response } from 'express';
import { EvokeError } from '../core/errors.ts';
import type { ApiDeps } from './deps.ts';
import { type Edge, Exchange } from './exchange.ts';
import type { Route } from './route.ts';

/** Puts the routes into the app; requests go to what it returns. */
export function mount(app: Express, routes: readonly Route[], edge: Edge, deps: ApiDeps): RequestListener {
  const methods = new Map<string, Set<string>>();
  for (const route of routes) {
    const path = expressPath(route.path);
    const method = route.method.toLowerCase() as Lowercase<Route['method']>;
    app[method](path, (req, res) => exchangeOf(res).run(route, req.params as Record<string, string>, deps));
    const allowed = methods.get(path) ?? new Set();
    methods.set(path, allowed.add(route.method));
    if (route.method === 'GET') allowed.add('HEAD');
  }
  for (const [path, allowed] of methods) {
    const allow = [...allowed].sort().join(', ');
    app.all(path, (_req, res) => exchangeOf(res).refuseMethod(allow));
  }
  app.use((_req, res) => exchangeOf(res).fail(new EvokeError('NOT_FOUND', { detail: 'Nothing has this path.' })));
  app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => exchangeOf(res).fail(error));
  // Before Express: to a target that it cannot read it gives an answer of its own.
  return (req, res) => {
    const exchange = new Exchange(req, res, edge);
    if (!exchange.begin()) return;
    req.url = exchange.target;
    Object.assign(res, { locals: { exchange } });
    app(req, res);
  };
}

/** `/v1/files/{scope}` as Express writes it. */
function expressPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

function exchangeOf(res: Response): Exchange {
  return res.locals['exchange'] as Exchange;
}
