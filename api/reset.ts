// Ending a connection so that nobody takes what arrived for a whole answer: with a reset, which a plain close is not.
import type { Socket } from 'node:net';

/** Also for a socket whose own end was sent already: the system refuses to reset it then, and Node would leave it open for ever. */
export function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
