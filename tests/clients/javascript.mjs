// The JavaScript SDK against `portward emulate`. usage: node javascript.mjs MODULES URL
//
// Prints `ok N - ...` for what holds and `not ok N - ...` with the reason for what does not.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, endpoint] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), 'x.js'));
const sdk = require('@aws-sdk/client-lightsail');

const instanceName = 'web-1';
const keys = { accessKeyId: 'test', secretAccessKey: 'test' };
const client = (credentials = keys) =>
  new sdk.LightsailClient({ region: 'eu-central-1', endpoint, credentials, maxAttempts: 1 });
const lightsail = client();

const opened = async (name = instanceName) => {
  const { portStates } = await lightsail.send(new sdk.GetInstancePortStatesCommand({ instanceName: name }));
  const sources = (state) => [...state.cidrs, ...state.ipv6Cidrs, ...state.cidrListAliases].join(' ');
  return portStates.map((state) => `${state.protocol} ${state.fromPort} ${state.toPort} from ${sources(state)}`);
};

let number = 0;
let failed = 0;
const check = async (title, holds) => {
  number += 1;
  try {
    await holds();
    console.log(`ok ${number} - ${title}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ${number} - ${title}\n${String(error.stack).replace(/^/gm, '# ')}`);
  }
};

await check('open, with sources of both families and the alias', async () => {
  const portInfo = {
    fromPort: 8080, toPort: 8089, protocol: 'tcp', cidrs: ['192.0.2.7'], ipv6Cidrs: ['2001:DB8::1'],
    cidrListAliases: ['lightsail-connect'],
  };
  const { operation } = await lightsail.send(new sdk.OpenInstancePublicPortsCommand({ instanceName, portInfo }));
  assert.equal(operation.status, sdk.OperationStatus.Succeeded);
  assert.equal(operation.operationType, sdk.OperationType.OpenInstancePublicPorts);
  assert.ok(operation.createdAt instanceof Date && Math.abs(Date.now() - operation.createdAt) < 60_000);
  const again = await lightsail.send(new sdk.GetOperationCommand({ operationId: operation.id }));
  assert.deepEqual(again.operation, operation);
  assert.deepEqual(await opened(), [
    'tcp 22 22 from 0.0.0.0/0 ::/0',
    'tcp 8080 8089 from 192.0.2.7/32 2001:db8::1/128 lightsail-connect',
  ]);
});

await check('close', async () => {
  const portInfo = { fromPort: 22, toPort: 22, protocol: 'tcp' };
  await lightsail.send(new sdk.CloseInstancePublicPortsCommand({ instanceName, portInfo }));
  assert.deepEqual(await opened(), ['tcp 8080 8089 from 192.0.2.7/32 2001:db8::1/128 lightsail-connect']);
});

await check('put: absent ports are 0, and protocols may be numbers', async () => {
  const cidrs = ['192.0.2.0/24'];
  const portInfos = [
    { protocol: 'icmp', fromPort: 8, cidrs },
    { protocol: 'icmpv6', fromPort: 128, ipv6Cidrs: ['2001:db8::/32'] },
    { protocol: 'all', toPort: 65535, cidrs },
    { protocol: 6, fromPort: 443, toPort: 443, cidrs },
    { protocol: '17', fromPort: 53, toPort: 53, cidrs },
  ];
  await lightsail.send(new sdk.PutInstancePublicPortsCommand({ instanceName, portInfos }));
  assert.deepEqual(await opened(), [
    'icmp 8 0 from 192.0.2.0/24',
    'icmpv6 128 0 from 2001:db8::/32',
    'all 0 65535 from 192.0.2.0/24',
    'tcp 443 443 from 192.0.2.0/24',
    'udp 53 53 from 192.0.2.0/24',
  ]);
});

await check('instances, their state, and operations', async () => {
  const names = [];
  let pageToken;
  do {
    const page = await lightsail.send(new sdk.GetInstancesCommand({ pageToken }));
    names.push(...page.instances.map((instance) => instance.name));
    pageToken = page.nextPageToken;
  } while (pageToken);
  assert.deepEqual(names, ['web-1', 'new-1', 'all-1']);
  const { instance } = await lightsail.send(new sdk.GetInstanceCommand({ instanceName }));
  assert.equal(instance.networking.ports.length, 5);
  const { state } = await lightsail.send(new sdk.GetInstanceStateCommand({ instanceName }));
  assert.deepEqual(state, { code: 16, name: 'running' });
  const { operations } = await lightsail.send(new sdk.GetOperationsCommand({}));
  assert.deepEqual(
    operations.map((operation) => operation.operationType.slice(0, 4)),
    ['Open', 'Clos', 'PutI'],
  );
  const resourceName = instanceName;
  const mine = await lightsail.send(new sdk.GetOperationsForResourceCommand({ resourceName }));
  assert.deepEqual(mine.operations, operations);
  const { regions } = await lightsail.send(new sdk.GetRegionsCommand({}));
  assert.ok(regions.some((region) => region.name === sdk.RegionName.EU_CENTRAL_1));
});

await check('tags', async () => {
  const tagged = await lightsail.send(new sdk.TagResourceCommand({
    resourceName: instanceName,
    tags: [{ key: 'portward:grant:1', value: 'v1' }, { key: 'bare' }],
  }));
  assert.deepEqual(tagged.operations.map((operation) => operation.status), [sdk.OperationStatus.Succeeded]);
  await lightsail.send(new sdk.UntagResourceCommand({ resourceName: instanceName, tagKeys: ['bare'] }));
  const { instance } = await lightsail.send(new sdk.GetInstanceCommand({ instanceName }));
  assert.deepEqual(instance.tags, [{ key: 'portward:grant:1', value: 'v1' }, { key: 'role', value: 'web' }]);
});

// With a class of the SDK, or the name of an error that it has no class for.
const refused = (title, type, send) =>
  check(title, () => assert.rejects(send, typeof type === 'string' ? { name: type } : type));
const open = (portInfo, name = instanceName) =>
  lightsail.send(new sdk.OpenInstancePublicPortsCommand({ instanceName: name, portInfo }));
const tcp = { protocol: 'tcp', fromPort: 1, toPort: 1 };

await refused('an instance that does not exist', sdk.NotFoundException, () => open(tcp, 'web-9'));
await refused('a pending instance', sdk.OperationFailureException, () => open(tcp, 'new-1'));
await refused('a protocol that does not exist', sdk.InvalidInputException, () => open({ ...tcp, protocol: 'sctp' }));
await refused('a range that ends before it starts', sdk.InvalidInputException, () => open({ ...tcp, toPort: undefined }));
await refused('a wrong secret', 'InvalidSignatureException', () =>
  client({ ...keys, secretAccessKey: 'wrong' }).send(new sdk.GetInstancesCommand({})));
await refused('a session token beside permanent keys', 'UnrecognizedClientException', () =>
  client({ ...keys, sessionToken: 'bogus' }).send(new sdk.GetInstancesCommand({})));

console.log(`${number - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
