'use strict';
// Drives a server with node-zookeeper-client and checks what it answers.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { after, before, beforeEach, test } = require('node:test');
const zookeeper = require('node-zookeeper-client');

const { ACL, CreateMode, Event, Exception, Id, Permission } = zookeeper;
const OPEN = ACL.OPEN_ACL_UNSAFE;
const LIMIT = { timeout: 60000 };

let client;
let other;
let root;

async function connect() {
  const made = zookeeper.createClient(process.env.ZK_HOSTPORT, { sessionTimeout: 6000 });
  const connected = once(made, 'connected');
  made.connect();
  await connected;
  return made;
}

async function close(connection) {
  const gone = once(connection, 'disconnected');
  connection.close();
  await gone;
}

/** Calls a method of the client and returns the list of what its callback got. */
function call(connection, method, ...args) {
  return new Promise((resolve, reject) => {
    connection[method](...args, (error, ...results) => (error ? reject(error) : resolve(results)));
  });
}

async function create(connection, path, data = '', mode = CreateMode.PERSISTENT) {
  const [made] = await call(connection, 'create', path, Buffer.from(data), OPEN, mode);
  return made;
}

function fails(promise, code) {
  return assert.rejects(promise, (error) => error.getCode() === code);
}

/** A watcher, and a promise of the first event it hears. */
function listener() {
  let hear;
  const heard = new Promise((resolve) => { hear = resolve; });
  return [(event) => hear([event.getType(), event.getPath()]), heard];
}

before(async () => {
  client = await connect();
  other = await connect();
});

after(async () => {
  await close(client);
  await close(other);
});

beforeEach(async () => {
  root = await create(client, '/node-', '', CreateMode.PERSISTENT_SEQUENTIAL);
});

test('nodes are created, read, changed and deleted', LIMIT, async () => {
  const a = await create(client, `${root}/a`, 'one');
  const [data, stat] = await call(client, 'getData', a, null);
  assert.equal(data.toString(), 'one');
  assert.equal(stat.version, 0);
  assert.equal(stat.dataLength, 3);
  const [changed] = await call(client, 'setData', a, Buffer.from('two'), 0);
  assert.equal(changed.version, 1);
  await fails(call(client, 'setData', a, Buffer.from('x'), 0), Exception.BAD_VERSION);
  await fails(create(client, a), Exception.NODE_EXISTS);
  await fails(create(client, `${root}/no/b`), Exception.NO_NODE);
  await create(client, `${a}/b`);
  await fails(call(client, 'remove', a, -1), Exception.NOT_EMPTY);
  assert.deepEqual((await call(client, 'getChildren', a, null))[0], ['b']);
  await call(client, 'removeRecursive', a, -1);
  assert.equal((await call(client, 'exists', a, null))[0], null);
});

test('missing parents are made', LIMIT, async () => {
  await call(client, 'mkdirp', `${root}/x/y/z`);
  await call(client, 'mkdirp', `${root}/x/y/z`);
  assert.deepEqual((await call(client, 'getChildren', `${root}/x/y`, null))[0], ['z']);
});

test('sequential and ephemeral nodes', LIMIT, async () => {
  assert.equal(await create(client, `${root}/s`, '', CreateMode.PERSISTENT_SEQUENTIAL),
    `${root}/s0000000000`);
  const passing = await connect();
  const own = await create(passing, `${root}/e`, '', CreateMode.EPHEMERAL_SEQUENTIAL);
  assert.equal(own, `${root}/e0000000001`);
  const [stat] = await call(client, 'exists', own, null);
  assert.deepEqual(stat.ephemeralOwner, passing.getSessionId());
  await fails(create(passing, `${own}/c`), Exception.NO_CHILDREN_FOR_EPHEMERALS);
  const [watcher, heard] = listener();
  await call(client, 'exists', own, watcher);
  await close(passing);
  assert.deepEqual(await heard, [Event.NODE_DELETED, own]);
});

test('watches fire once', LIMIT, async () => {
  const a = `${root}/a`;
  const [onCreate, created] = listener();
  const [onChildren, children] = listener();
  assert.equal((await call(client, 'exists', a, onCreate))[0], null);
  await call(client, 'getChildren', root, onChildren);
  await create(other, a);
  assert.deepEqual(await created, [Event.NODE_CREATED, a]);
  assert.deepEqual(await children, [Event.NODE_CHILDREN_CHANGED, root]);
  const [onChange, changed] = listener();
  await call(client, 'getData', a, onChange);
  await call(other, 'setData', a, Buffer.from('x'), -1);
  assert.deepEqual(await changed, [Event.NODE_DATA_CHANGED, a]);
});

test('a transaction is done wholly or not at all', LIMIT, async () => {
  await create(client, `${root}/old`);
  const results = await new Promise((resolve, reject) => {
    client.transaction()
      .create(`${root}/new`, Buffer.from('n'))
      .setData(`${root}/old`, Buffer.from('o'), 0)
      .check(`${root}/old`, 1)
      .remove(`${root}/old`, 1)
      .commit((error, answers) => (error ? reject(error) : resolve(answers)));
  });
  assert.equal(results.length, 4);
  assert.equal(results[0].path, `${root}/new`);
  assert.equal(results[1].stat.version, 1);
  const refused = new Promise((resolve, reject) => {
    client.transaction()
      .create(`${root}/never`)
      .remove(`${root}/missing`)
      .commit((error) => (error ? reject(error) : resolve()));
  });
  await fails(refused, Exception.NO_NODE);
  assert.equal((await call(client, 'exists', `${root}/never`, null))[0], null);
});

/** The lock of the recipes page: the lowest number has it, each waits for the one before. */
async function lock(connection, directory) {
  const own = await create(connection, `${directory}/n-`, '', CreateMode.EPHEMERAL_SEQUENTIAL);
  for (;;) {
    const [names] = await call(connection, 'getChildren', directory, null);
    const at = names.sort().indexOf(own.slice(directory.length + 1));
    if (at === 0) {
      return own;
    }
    const [watcher, heard] = listener();
    if ((await call(connection, 'exists', `${directory}/${names[at - 1]}`, watcher))[0]) {
      await heard;
    }
  }
}

test('a lock admits one at a time', LIMIT, async () => {
  let inside = 0;
  let turns = 0;
  async function work(connection) {
    for (let turn = 0; turn < 5; turn += 1) {
      const held = await lock(connection, root);
      inside += 1;
      assert.equal(inside, 1);
      await call(connection, 'exists', root, null);
      turns += 1;
      inside -= 1;
      await call(connection, 'remove', held, -1);
    }
  }
  await Promise.all([work(client), work(other), work(client), work(other)]);
  assert.equal(turns, 20);
});

test('ACLs keep others out', LIMIT, async () => {
  const ann = await connect();
  ann.addAuthInfo('digest', Buffer.from('ann:pw'));
  const path = `${root}/mine`;
  await call(ann, 'create', path, Buffer.from('m'), ACL.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
  await fails(call(client, 'getData', path, null), Exception.NO_AUTH);
  const [list] = await call(ann, 'getACL', path);
  assert.equal(list[0].id.id, 'ann:RYbu6l5aZwqon8VWmkcGvezdzfc=');
  await call(ann, 'setACL', path, [new ACL(Permission.READ, Id.ANYONE_ID_UNSAFE)], 0);
  assert.equal((await call(client, 'getData', path, null))[0].toString(), 'm');
  await fails(call(client, 'setData', path, Buffer.from('x'), -1), Exception.NO_AUTH);
  const unknown = [new ACL(Permission.ALL, new Id('nosuch', 'x'))];
  await fails(call(client, 'setACL', root, unknown, -1), Exception.INVALID_ACL);
  await close(ann);
});

test('a broken connection keeps session, ephemerals and watches', LIMIT, async () => {
  const roaming = await connect();
  const session = roaming.getSessionId().toString('hex');
  const own = await create(roaming, `${root}/own`, '', CreateMode.EPHEMERAL);
  const [watcher, heard] = listener();
  await call(roaming, 'exists', `${root}/later`, watcher);
  const [onGone, gone] = listener();
  await call(roaming, 'getChildren', root, onGone);
  const again = once(roaming, 'connected');
  roaming.connectionManager.socket.destroy();
  await create(other, `${root}/meanwhile`);
  await again;
  assert.equal(roaming.getSessionId().toString('hex'), session);
  assert.deepEqual(await gone, [Event.NODE_CHILDREN_CHANGED, root]);
  const [stat] = await call(other, 'exists', own, null);
  assert.equal(stat.ephemeralOwner.toString('hex'), session);
  await create(other, `${root}/later`);
  assert.deepEqual(await heard, [Event.NODE_CREATED, `${root}/later`]);
  await close(roaming);
});
