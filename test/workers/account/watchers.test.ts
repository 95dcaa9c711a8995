import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import type { KeyId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { formatCredits, type Millicredits } from "../../../core/units.ts";
import type { Credentials, NewKey } from "../../../protocol/internal/account.ts";
import { ackText } from "../../../protocol/network/live-balance.ts";
import type { LiveWatcher } from "../../support/live-watcher.ts";
import { idOf } from "../../support/receipts.ts";
import { type Bank, creditOf, entries, hold, inside, openBank, post } from "./bank.ts";
import { refusedWatch, watch } from "./watch-support.ts";

const credits = (amount: number) => formatCredits(amount as Millicredits);

/** Waits until a watcher has been told of everything, and compares what it then knows with the books. */
async function caughtUp(bank: Bank, watcher: LiveWatcher): Promise<void> {
  const mark = await inside(bank, ({ storage }) => {
    const read = (query: string) => storage.sql.exec<{ last: number }>(query).one().last;
    const seq = read("SELECT COALESCE(MAX(seq), 0) AS last FROM entries");
    return `${seq}.${read("SELECT COALESCE(MAX(hold_order), 0) AS last FROM holds")}`;
  });
  await watcher.until(() => watcher.last?.id === mark, `the state ${mark}`);
  const answer = await bank.rpc.balance(bank.credentials);
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  const { available, held, openJobs, lots } = answer.value;
  expect(watcher.seen).toMatchObject({ available: credits(available), held: credits(held), open_jobs: openJobs });
  const shown = lots
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((lot) => [lot.id, credits(lot.available), credits(lot.held)]);
  expect(watcher.seen.lots.map((lot) => [lot.id, lot.available, lot.held])).toEqual(shown);
}

async function keyFor(bank: Bank, changes: Partial<NewKey> = {}): Promise<Credentials & { id: KeyId }> {
  const secretHash = hashText("secret of a watcher");
  const id = idOf("key of a watcher") as unknown as KeyId;
  const made = await bank.rpc.createKey(bank.credentials, { name: "watcher", ...changes, id, secretHash });
  if (!made.ok) throw new Error(JSON.stringify(made.refusal));
  return { secretHash, id };
}

const nextAlarm = (bank: Bank) => inside(bank, ({ storage }) => storage.getAlarm());

it("tells the whole balance, and then every change with what caused it", async () => {
  const bank = await openBank({ bonus: 100_000 });
  const watcher = await watch(bank);
  expect(watcher.last).toMatchObject({
    type: "snapshot",
    id: "1.0",
    available: "100.000",
    held: "0.000",
    minimum: "5.000",
    open_jobs: 0,
    entries: [],
    jobs_begun: 0,
  });
  const { job } = await hold(bank);
  await watcher.until(() => watcher.last?.id === "1.1", "the hold");
  expect(watcher.last).toMatchObject({
    type: "change",
    available: "20.000",
    held: "80.000",
    open_jobs: 1,
    lots: [{ id: "credit", available: "20.000", held: "80.000" }],
    entries: [],
    jobs_begun: 1,
  });
  await post(bank, job, { prompt: 0, completion: 500 });
  await watcher.until(() => watcher.last?.id === "2.1", "the receipt");
  expect(watcher.last).toMatchObject({
    available: "60.000",
    held: "0.000",
    open_jobs: 0,
    entries: [{ seq: 2, type: "spent", job }],
    jobs_begun: 0,
  });
  await bank.rpc.credit(creditOf({ id: "gift", amount: 5_000 }));
  await watcher.until(() => watcher.last?.id === "3.1", "the gift");
  // A lot that has not changed is not told again.
  expect(watcher.last).toMatchObject({
    lots: [{ id: "gift", available: "5.000" }],
    entries: [{ type: "bonus", job: null }],
  });
  expect(watcher.last?.lots).toHaveLength(1);
  await caughtUp(bank, watcher);
});

it("makes few messages of two hundred changes in one moment, and the last state is right", async () => {
  const bank = await openBank({ bonus: 1_000_000_000 });
  const watcher = await watch(bank);
  const jobs = await Promise.all(Array.from({ length: 100 }, () => hold(bank, { completion: 10 })));
  await Promise.all(jobs.map(({ job }) => post(bank, job, { prompt: 0, completion: 7 })));
  await caughtUp(bank, watcher);
  expect(watcher.entries.map(({ seq }) => seq)).toEqual(Array.from({ length: 100 }, (_, index) => index + 2));
  expect(watcher.told.reduce((sum, { jobs_begun: begun }) => sum + begun, 0)).toBe(100);
  // As many tenths of a second as it took, on however slow a machine, and far fewer than the changes.
  expect(watcher.messages.length).toBeLessThan(100);
});

it("tells everybody everything once, also who comes in the middle of it", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const first = await watch(bank);
  for (let gift = 0; gift < 5; gift++) {
    await bank.rpc.credit(creditOf({ id: `before ${gift}` }));
    const late = await watch(bank);
    await bank.rpc.credit(creditOf({ id: `after ${gift}` }));
    await caughtUp(bank, late);
    expect(late.entries.map(({ seq }) => seq)).toEqual([3 + 2 * gift]);
  }
  await caughtUp(bank, first);
  expect(first.entries.map(({ seq }) => seq)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

it("sleeps while somebody watches, answers pings in its sleep, and goes on over the same socket", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const watcher = await watch(bank);
  for (let sleeps = 1; sleeps <= 3; sleeps++) {
    await evictDurableObject(bank.stub);
    watcher.say("ping");
    await watcher.until(() => watcher.texts.length === sleeps, "a pong");
    await post(bank, (await hold(bank)).job);
    await caughtUp(bank, watcher);
  }
  expect(watcher.told.filter(({ type }) => type === "snapshot")).toHaveLength(1);
  expect(watcher.entries.map(({ type }) => type)).toEqual(["spent", "spent", "spent"]);
});

it("lets who comes back miss nothing", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const first = await watch(bank);
  const after = first.last?.id ?? "";
  first.close();
  const { job } = await hold(bank);
  await post(bank, job);
  await hold(bank);
  const back = await watch(bank, { after });
  expect(back.last).toMatchObject({
    type: "snapshot",
    available: "840.000",
    held: "80.000",
    entries: [{ seq: 2, type: "spent", job }],
    unlisted: 0,
    jobs_begun: 2,
  });
  // Nobody has seen the future, so this is a message of another account.
  expect((await watch(bank, { after: "99.99" })).last).toMatchObject({ entries: [], unlisted: 0, jobs_begun: 0 });
});

it("lists the newest entries to who was away for long, and says how many it does not list", async () => {
  const bank = await openBank();
  for (let gift = 0; gift < LIMITS.liveEntries + 10; gift++) {
    await bank.rpc.credit(creditOf({ id: `gift ${gift}`, amount: 1_000 }));
  }
  const { last } = await watch(bank, { after: "0.0" });
  expect(last?.entries.map(({ seq }) => seq)).toEqual(Array.from({ length: LIMITS.liveEntries }, (_, i) => i + 11));
  expect(last?.unlisted).toBe(10);
});

it("tells what an earlier life of the account did not get to tell", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const watcher = await watch(bank);
  await inside(bank, (state) => {
    // As if the account had ended between a change and its message.
    for (const socket of state.getWebSockets()) {
      socket.serializeAttachment({ ...(socket.deserializeAttachment() as object), mark: { seq: 0, order: 0 } });
    }
  });
  await evictDurableObject(bank.stub);
  await bank.rpc.balance(bank.credentials);
  await watcher.until(() => watcher.told.length === 2, "a second snapshot");
  expect(watcher.last).toMatchObject({ type: "snapshot", entries: [{ seq: 1, type: "bonus" }] });
});

it("sends away whom another version of the code has let in, so that they come back", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const watcher = await watch(bank);
  await inside(bank, (state) => {
    for (const socket of state.getWebSockets()) socket.serializeAttachment({ v: 9 });
  });
  await evictDurableObject(bank.stub);
  await hold(bank);
  expect(await watcher.closed).toEqual({ code: 1012, reason: "update" });
  expect(watcher.messages).toHaveLength(1);
});

it("pushes what time alone changes: lots and holds that run out", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const start = Date.now();
  await hold(bank, { expiresAt: start + 90_000 });
  await inside(bank, ({ storage }) => storage.deleteAlarm());
  await evictDurableObject(bank.stub);
  await bank.rpc.credit(creditOf({ id: "short", amount: 7_000, expiresAt: start + 60_000 }));
  // By itself it would look after its hold in a quarter of an hour.
  await vi.waitFor(async () => expect(await nextAlarm(bank)).toBeGreaterThan(start + 90_000));
  const watcher = await watch(bank);
  await vi.waitFor(async () => expect(await nextAlarm(bank)).toBe(start + 60_000));

  vi.setSystemTime(start + 60_000);
  expect(await runDurableObjectAlarm(bank.stub)).toBe(true);
  await watcher.until(() => watcher.entries.some(({ type }) => type === "expiry"), "the lot's expiry");
  await caughtUp(bank, watcher);
  await vi.waitFor(async () => expect(await nextAlarm(bank)).toBe(start + 90_000));
  vi.setSystemTime(start + 90_000);
  await evictDurableObject(bank.stub);
  expect(await runDurableObjectAlarm(bank.stub)).toBe(true);
  await watcher.until(() => watcher.entries.some(({ type }) => type === "hold_expired"), "the hold's expiry");
  expect(watcher.seen).toMatchObject({ available: "1000.000", held: "0.000", open_jobs: 0 });
});

it.each([
  ["revoked", (bank: Bank, id: KeyId) => bank.rpc.revokeKey(bank.credentials, id), "invalid_api_key"],
  [
    "denied to read",
    (bank: Bank, id: KeyId) => bank.rpc.updateKey(bank.credentials, id, { scopes: ["inference"] }),
    "forbidden",
  ],
  [
    "given a new secret",
    (bank: Bank, id: KeyId) =>
      bank.rpc.rotateKey(bank.credentials, id, { id: "one", secretHash: hashText("fresh"), overlapMs: 0 }),
    "invalid_api_key",
  ],
] as const)("ends the connections of a key at once that is %s", async (_, change, code) => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { id, secretHash } = await keyFor(bank);
  const [ended, other] = [await watch(bank, { secretHash }), await watch(bank)];
  await evictDurableObject(bank.stub);
  await change(bank, id);
  // Nothing that happens after it reaches the key's watcher.
  await hold(bank);
  expect(await ended.closed).toEqual({ code: 1008, reason: code });
  expect(ended.messages.at(-1)).toMatchObject({ type: "end", code });
  expect(ended.told).toHaveLength(1);
  await caughtUp(bank, other);
  expect(await refusedWatch(bank, { secretHash })).toBe(code);
});

it("ends the connections of a key that expires, though nobody asks", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const expiresAt = Date.now() + 30_000;
  const watcher = await watch(bank, await keyFor(bank, { expiresAt }));
  await vi.waitFor(async () => expect(await nextAlarm(bank)).toBe(expiresAt));
  await evictDurableObject(bank.stub);
  vi.setSystemTime(expiresAt);
  await runDurableObjectAlarm(bank.stub);
  expect(await watcher.closed).toMatchObject({ reason: "key_expired" });
});

it("ends the connections of a secret whose overlap is over", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const { id, secretHash } = await keyFor(bank);
  const watcher = await watch(bank, { secretHash });
  const overlapMs = 45_000;
  await bank.rpc.rotateKey(bank.credentials, id, { id: "one", secretHash: hashText("fresh"), overlapMs });
  const until = Date.now() + overlapMs;
  await vi.waitFor(async () => expect(await nextAlarm(bank)).toBe(until));
  expect(watcher.messages).toHaveLength(1);
  vi.setSystemTime(until);
  await runDurableObjectAlarm(bank.stub);
  expect(await watcher.closed).toMatchObject({ reason: "invalid_api_key" });
});

it("lets in who may read, and no more than it can serve", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  expect(await refusedWatch(bank, { secretHash: hashText("not the secret") })).toBe("invalid_api_key");
  const { secretHash } = await keyFor(bank, { scopes: ["inference"] });
  expect(await refusedWatch(bank, { secretHash })).toBe("forbidden");
  const watchers = await Promise.all(Array.from({ length: LIMITS.watchers }, () => watch(bank)));
  expect(await refusedWatch(bank)).toBe("watcher_limit");
  watchers[0]?.close();
  await watchers[0]?.closed;
  await vi.waitFor(async () => expect((await watch(bank)).last).toMatchObject({ type: "snapshot" }));
});

/** Writes changes as large as a second of a busy account's, until a watcher is gone or as many were made. */
async function flood(bank: Bank, messages: number, heard: () => Promise<unknown>): Promise<void> {
  for (let message = 0; message < messages; message++) {
    await bank.rpc.credit(creditOf({ id: `gift ${message}`, amount: 1 }));
    await heard();
  }
}

it("sends a watcher away that does not read, and keeps the one that does", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { reader, sleeper } = { reader: await watch(bank), sleeper: await watch(bank, { acknowledges: false }) };
  // A quarter of what may stay unread is missing before anybody is asked.
  await inside(bank, (state) => {
    for (const socket of state.getWebSockets()) {
      const attached = socket.deserializeAttachment() as { unread: number };
      socket.serializeAttachment({ ...attached, unread: LIMITS.liveUnreadBytes - 2_000 });
    }
  });
  await flood(bank, 20, () => caughtUp(bank, reader));
  expect(await sleeper.closed).toEqual({ code: 1008, reason: "watcher_too_slow" });
  expect(sleeper.messages.at(-1)).toMatchObject({ type: "end", code: "watcher_too_slow" });
  expect(sleeper.told.length).toBeLessThan(10);
  expect(reader.told).toHaveLength(21);
});

it("takes the acknowledgement that it asked for, and no other", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const watcher = await watch(bank, { acknowledges: false });
  const half = LIMITS.liveUnreadBytes / 2;
  const unread = async (): Promise<number> => {
    const attached = await inside(bank, (state) =>
      state.getWebSockets().map((socket) => socket.deserializeAttachment()),
    );
    return (attached as { unread: number }[])[0]?.unread ?? Number.NaN;
  };
  await inside(bank, (state) => {
    for (const socket of state.getWebSockets()) {
      socket.serializeAttachment({ ...(socket.deserializeAttachment() as object), unread: half });
    }
  });
  await bank.rpc.credit(creditOf({ id: "first" }));
  await caughtUp(bank, watcher);
  const ack = watcher.last?.ack ?? "";
  expect(ack).toMatch(/^\w{16,}$/);
  for (const text of [ackText(""), ackText(`${ack}0`), '{"type":"ack","ack":null}', "{", "[]", "x".repeat(10_000)]) {
    watcher.say(text);
  }
  watcher.say("ping");
  await watcher.until(() => watcher.texts.includes("pong"), "pong");
  await bank.rpc.credit(creditOf({ id: "second" }));
  await caughtUp(bank, watcher);
  // It is asked once, and owes the same answer until it comes.
  expect(watcher.last?.ack).toBeUndefined();
  expect(await unread()).toBeGreaterThan(half);
  watcher.say(ackText(ack));
  await vi.waitFor(async () => expect(await unread()).toBeLessThan(1_000));
  // What came after the question is still unread.
  expect(await unread()).toBeGreaterThan(0);
});

it("costs nothing where nobody watches any more", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const watcher = await watch(bank);
  watcher.close();
  await watcher.closed;
  await evictDurableObject(bank.stub);
  const timers = vi.spyOn(globalThis, "setTimeout");
  const reads = vi.fn();
  await inside(bank, ({ storage }) => {
    const original = storage.sql.exec.bind(storage.sql);
    vi.spyOn(Object.getPrototypeOf(storage.sql) as SqlStorage, "exec").mockImplementation((query, ...bindings) => {
      if (query.includes("ORDER BY seq DESC")) reads();
      return original(query, ...bindings);
    });
  });
  await post(bank, (await hold(bank)).job);
  expect(timers.mock.calls.filter(([, ms]) => ms === LIMITS.liveCoalesceMs)).toEqual([]);
  expect(reads).not.toHaveBeenCalled();
  expect((await entries(bank)).map(({ type }) => type)).toEqual(["bonus", "spent"]);
});
