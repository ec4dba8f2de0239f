// An api or a worker that carries the campaign's generators: `node role.ts api`, settings in the environment.
import { runApi } from '../../../api/main.ts';
import { runWorker } from '../../../workers/main.ts';
import { builtInGenerators, generatorsUrl } from './generators.ts';

// As the command line's roles do: without whoever started it nobody would ever end it.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();

const role = process.argv[2];
if (role === 'api') await runApi(process.env, builtInGenerators);
else await runWorker(process.env, { registry: builtInGenerators, url: generatorsUrl });
