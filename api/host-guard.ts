// Until there is access control, only pages and programs of this machine may speak to the service. A web page elsewhere
// reaches a loopback address through the user's browser (DNS rebinding); its Host or Origin gives it away.
import { EvokeError } from '../core/errors.ts';

const octet = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const loopback = `(localhost|127(\\.${octet}){3}|\\[::1\\])(:\\d{1,5})?`;
const loopbackAuthority = new RegExp(`^${loopback}$`, 'i');
const loopbackOrigin = new RegExp(`^https?://${loopback}$`, 'i');

/**
 * `host`: the authority the client named; `origin`: its Origin header, where it sent one.
 * @throws EvokeError FOREIGN_HOST
 */
export function checkHost(host: string | undefined, origin: string | undefined): void {
  if (host === undefined || !loopbackAuthority.test(host)) {
    throw new EvokeError('FOREIGN_HOST', {
      detail: 'The Host header does not name this machine by a loopback name.',
      hint: 'Use localhost, 127.0.0.1 or [::1], with any port.',
    });
  }
  if (origin !== undefined && !loopbackOrigin.test(origin)) {
    throw new EvokeError('FOREIGN_HOST', { detail: 'The Origin header names a page that is not of this machine.' });
  }
}

/**
 * `site` and `destination`: Sec-Fetch-Site and Sec-Fetch-Dest of a request without Origin. An image or frame of a foreign
 * page has none, and would still make the service compute; a link may be followed.
 * @throws EvokeError FOREIGN_HOST
 */
export function checkSite(site: unknown, destination: unknown): void {
  if (site !== 'cross-site' || destination === 'document') return;
  throw new EvokeError('FOREIGN_HOST', { detail: 'The request comes from a page that is not of this machine.' });
}
