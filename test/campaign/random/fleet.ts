// The processes of the service under test: two apis, two workers, two schedulers, and their Redis. Whoever is killed is
// started again, as a supervisor would; whoever ends by itself, or does not start, breaks a promise.
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Api, type Role, Service } from '../../service.ts';
import type { Fault, RoleName } from './fault-plan.ts';
import type { Troubles } from './judge.ts';
import { type Usage, usageOf } from './processes.ts';

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
export const roleNames: readonly RoleName[] = ['api', 'worker', 'scheduler'];

/** How long an api takes to listen, and a process to end in order, on a machine that is very busy. */
const startMsMax = 120_000;
const startLookMs = 50;
const endMsMax = 90_000;
/** A trouble that is over may be felt for as long: orders are looked for again, links come back, tries are repeated. */
const aftermathMs = 15_000;

interface Slot {
  readonly role: RoleName;
  readonly index: number;
  current: Role | undefined;
  url: string;
  /** It is being ended and started again. */
  changing: Promise<void> | undefined;
  isFrozen: boolean;
}

interface Trouble {
  readonly what: string;
  readonly fromMs: number;
  untilMs: number;
}

export class Fleet {
  readonly service: Service;
  readonly #slots: Slot[];
  readonly #troubles: Trouble[] = [];
  readonly #violated: (what: string) => void;
  #isStopping = false;

  private constructor(service: Service, slots: Slot[], violated: (what: string) => void) {
    this.service = service;
    this.#slots = slots;
    this.#violated = violated;
  }

  /** `violated` is told of processes that end by themselves. */
  static async start(env: Readonly<Record<string, string>>, violated: (what: string) => void): Promise<Fleet> {
    const entry = (role: string) =>
      role === 'scheduler' ? [here('../../../cli/main.ts'), role] : [here('./role.ts'), role];
    const service = await Service.start({ apis: 0, workers: 0, schedulers: 0, env, entry });
    const slots = roleNames.flatMap((role) =>
      [0, 1].map((index): Slot => ({ role, index, current: undefined, url: '', changing: undefined, isFrozen: false })),
    );
    const fleet = new Fleet(service, slots, violated);
    try {
      await Promise.all(slots.map((slot) => fleet.#start(slot)));
      return fleet;
    } catch (error) {
      await service.stop();
      throw error;
    }
  }

  /** Of the api of that number, or of the other one while that is down. */
  url(api: number): string {
    const apis = this.#slots.filter(({ role }) => role === 'api');
    return (
      (apis.find(({ index, current }) => index === api && current !== undefined) ?? apis[1 - api] ?? apis[0])?.url ?? ''
    );
  }

  /** What could have been felt by a request to that address, from then until now. */
  troubles(url: string, fromMs: number): Troubles {
    const felt = this.#troubles.filter(({ untilMs }) => untilMs + aftermathMs >= fromMs).map(({ what }) => what);
    return {
      api: felt.includes(url),
      redis: felt.includes('redis'),
      any: felt.length > 0,
    };
  }

  get outputs(): readonly Role[] {
    return this.service.roles;
  }

  /** Does a fault, and undoes it where it has an end. Says what was done. */
  async suffer(fault: Exclude<Fault, { kind: 'damage' | 'fill disk' }>): Promise<string> {
    switch (fault.kind) {
      case 'kill':
        return this.#replace(fault, 'SIGKILL', fault.downMs);
      case 'end':
        return this.#replace(fault, 'SIGTERM', fault.downMs);
      case 'freeze':
        return this.#freeze(fault, fault.ms);
      case 'flush redis':
        return this.trouble('redis', () =>
          this.#withRedis(async () => {
            await this.service.redis.command('FLUSHALL');
            return 'flushed';
          }),
        );
      case 'kill redis':
        return this.trouble('redis', () =>
          this.#withRedis(async () => {
            await this.service.redis.kill();
            await pause(fault.downMs);
            await this.service.redis.restart();
            return 'restarted';
          }),
        );
      case 'freeze redis':
        return this.trouble('redis', () =>
          this.#withRedis(async () => {
            this.service.redis.freeze();
            await pause(fault.ms);
            this.service.redis.thaw();
            return 'thawed';
          }),
        );
    }
  }

  /** Notes that something is wrong for as long as the work takes, and a while after. */
  async trouble<T>(what: string, work: () => Promise<T>): Promise<T> {
    const trouble: Trouble = { what, fromMs: Date.now(), untilMs: Number.POSITIVE_INFINITY };
    this.#troubles.push(trouble);
    try {
      return await work();
    } finally {
      trouble.untilMs = Date.now();
    }
  }

  /** Resolves when every process is up, and none is about to be ended or frozen. */
  async healed(): Promise<void> {
    for (const slot of this.#slots) while (slot.changing !== undefined) await slot.changing;
    await this.#redisTurn;
  }

  /** Ends all in order. Returns what went wrong with that. */
  async end(): Promise<string[]> {
    await this.healed();
    this.#isStopping = true;
    const problems: string[] = [];
    await Promise.all(
      this.#slots.map(async ({ role, index, current }) => {
        if (current === undefined) return;
        const ended = await endsWithin(endMsMax, current.end('SIGTERM'));
        const { exitCode, signalCode } = current.process;
        if (!ended || exitCode !== 0) {
          problems.push(
            `${role} ${index} ended with ${ended ? (exitCode ?? signalCode) : 'nothing'} when told to end.`,
          );
        }
      }),
    );
    return problems;
  }

  /** Ends all at once, Redis too. */
  async close(): Promise<void> {
    this.#isStopping = true;
    await this.service.stop();
  }

  /** By role and number. */
  async usage(): Promise<Map<string, Usage>> {
    const usage = new Map<string, Usage>();
    for (const { role, index, current } of this.#slots) {
      const pid = current?.process.pid;
      const used = pid === undefined ? undefined : await usageOf(pid).catch(() => undefined);
      if (used !== undefined) usage.set(`${role} ${index}`, used);
    }
    return usage;
  }

  #redisTurn: Promise<unknown> = Promise.resolve();

  /** One thing at a time is done to Redis. */
  #withRedis(work: () => Promise<string>): Promise<string> {
    const turn = this.#redisTurn.then(work);
    this.#redisTurn = turn.catch(() => undefined);
    return turn;
  }

  async #replace(place: { role: RoleName; index: number }, signal: NodeJS.Signals, downMs: number): Promise<string> {
    const slot = this.#slotOf(place);
    if (slot.changing !== undefined || slot.current === undefined) return 'it was about to be ended already';
    const { current } = slot;
    const isFrozen = slot.isFrozen;
    const changing = this.trouble(slot.url || slot.role, async () => {
      // Not running any more, as far as the exit is concerned: it was us.
      slot.current = undefined;
      if (isFrozen && signal === 'SIGTERM') current.process.kill('SIGCONT');
      const ended = await endsWithin(endMsMax, current.end(signal));
      if (!ended) this.#violated(`${slot.role} ${slot.index} did not end within ${endMsMax / 1000} s of ${signal}.`);
      const { exitCode } = current.process;
      if (signal === 'SIGTERM' && ended && exitCode !== 0) {
        this.#violated(`${slot.role} ${slot.index} ended with ${exitCode} when told to end.\n${lastWords(current)}`);
      }
      await pause(downMs);
      await this.#start(slot);
    });
    slot.changing = changing.finally(() => {
      slot.changing = undefined;
    });
    await slot.changing;
    return 'started again';
  }

  async #freeze(place: { role: RoleName; index: number }, ms: number): Promise<string> {
    const slot = this.#slotOf(place);
    const { current } = slot;
    if (slot.changing !== undefined || current === undefined || slot.isFrozen) return 'it is away or frozen already';
    slot.isFrozen = true;
    await this.trouble(slot.role, async () => {
      current.process.kill('SIGSTOP');
      await pause(ms);
      current.process.kill('SIGCONT');
    });
    slot.isFrozen = false;
    return 'thawed';
  }

  async #start(slot: Slot): Promise<void> {
    const started = slot.role === 'api' ? await this.#startApi(slot) : await this.#startOther(slot);
    slot.current = started;
    started.process.once('exit', (code, signal) => {
      if (slot.current !== started || this.#isStopping) return;
      slot.current = undefined;
      this.#violated(`${slot.role} ${slot.index} ended by itself, with ${code ?? signal}.\n${lastWords(started)}`);
    });
  }

  /** Resolves when it is at work: before that, a signal ends it as any program. */
  async #startOther({ role, index }: Slot): Promise<Role> {
    const started = this.service.startRole(role);
    const deadline = Date.now() + startMsMax;
    while (!started.output().includes('is at work')) {
      const hasEnded = started.process.exitCode !== null || started.process.signalCode !== null;
      if (hasEnded || Date.now() > deadline) {
        this.#violated(`${role} ${index} did not come to work.\n${lastWords(started)}`);
        throw new Error(`a ${role} did not start`);
      }
      await pause(startLookMs);
    }
    return started;
  }

  async #startApi(slot: Slot): Promise<Role> {
    const starting = this.service.startApi();
    const api = await Promise.race([starting, pause(startMsMax).then((): Api | undefined => undefined)]).catch(
      (error: unknown) => {
        this.#violated(`api ${slot.index} did not start: ${String(error)}`);
        throw error;
      },
    );
    if (api === undefined) {
      this.#violated(`api ${slot.index} did not listen within ${startMsMax / 1000} s.`);
      throw new Error('an api did not start');
    }
    slot.url = api.url;
    return api;
  }

  #slotOf({ role, index }: { role: RoleName; index: number }): Slot {
    const slot = this.#slots.find((one) => one.role === role && one.index === index);
    if (slot === undefined) throw new RangeError(`There is no ${role} ${index}.`);
    return slot;
  }
}

export function lastWords(role: Role, lines = 20): string {
  return role.output().trimEnd().split('\n').slice(-lines).join('\n');
}

async function endsWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
