import { relative } from 'node:path';
import { type DemoOptions, formatLifetime, targetIds, tokenKey } from './setting.ts';
import type { Stage } from './stage.ts';
import { number } from './table.ts';

/** What is going to happen. */
export function headline({ tenants, resources, lifetime, forMs }: DemoOptions): string {
  const fleet = `${number(tenants)} tenants × ${number(resources)} resources = ${number(tenants * resources)} tokens`;
  const duration = forMs === undefined ? 'until Ctrl-C' : `for ${forMs / 1000}s`;
  return `evertoken demo: ${fleet} that live ${formatLifetime(lifetime)}, kept fresh and read all the while, ${duration}`;
}

/** Where everything is, and how to look at it while it runs. */
export function introduction(options: DemoOptions, stage: Stage): string[] {
  const { redis, mockIdp, mockIdpUrl, daemon, daemonUrl, configFile, daemonLogFile } = stage;
  const [example = ''] = targetIds(options);
  return [
    `  Redis      ${redis.url}, a private one (process ${redis.pid})`,
    `  mock-idp   ${mockIdpUrl} (process ${mockIdp.pid}) issues the tokens`,
    `  daemon     ${daemonUrl} (process ${daemon.pid}) keeps them fresh, with ${configFile}`,
    '  consumer   this process: knows the Redis keys only, and reads each four times a second',
    'To look at it meanwhile:',
    `  redis-cli -p ${redis.port} GET ${tokenKey(example)}`,
    `  curl ${daemonUrl}/metrics`,
    `  ${launcher()} explain ${example} -c ${configFile}`,
    `  tail -f ${daemonLogFile}`,
    'When it ends, all of this is removed.',
    '',
  ];
}

/** How this was started works again; it differs between a clone and an installed package. */
function launcher(): string {
  return `node ${relative('', process.argv[1] ?? '')}`;
}
