// Until there is access control, only pages and programs of this machine may speak to the service. A web page elsewhere
// reaches a loopback address through the user's browser (DNS rebinding); its Host or Origin gives it away.
import { EvokeError } from '../core/errors.ts';

const loopbackAuthority = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;
const loopbackOrigin = /^https?:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;

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
