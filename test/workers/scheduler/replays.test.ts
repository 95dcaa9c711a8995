/** Calls between relay and pool that arrive late, twice or in another order than they were made. */

import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import type { Scheduler } from "../../../durable-objects/scheduler/index.ts";
import { answering, offerOf } from "../../support/scripted-daemon.ts";
import { classOf, holdBack } from "../job/hold-back.ts";
import {
  addDaemon,
  balance,
  chat,
  connect,
  enrol,
  openMarket,
  receiptsOf,
  STARTER,
  supply,
  type TestAccount,
  until,
} from "../job/network.ts";

const pool = () => env.SCHEDULER.getByName("local/test-model");
type Told = "register" | "unregister" | "report";

/** Everything adds up, no slot is taken and nothing is held. */
async function expectSettled(consumer: TestAccount, slots: number): Promise<void> {
  await until(async () => (await supply("test-model")).free === slots, `${slots} free slots`);
  await until(async () => (await balance(consumer.apiKey)).held === 0, "no hold");
  const charged = (await receiptsOf(consumer)).reduce((sum, { charge }) => sum + charge.millicredits, 0);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - charged, held: 0 });
}

it("keeps a daemon that is back before its pool hears that it had gone", async () => {
  const { consumer, provider } = await openMarket();
  const before = await addDaemon(provider);
  const late = await holdBack(pool(), "unregister");
  const registered = vi.spyOn(await classOf<Scheduler>(pool()), "register");
  before.socket.close(1000, "restart");
  await late.made();
  const after = await connect(1, answering(["hi"]));
  await after.join(offerOf("test-model"));
  await until(() => registered.mock.calls.length === 1, "the new offer");
  late.release();
  await late.arrived();
  await until(async () => (await supply("test-model")).daemons === 1, "the daemon");
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect(after.jobs).toHaveLength(1);
  await expectSettled(consumer, 8);
});

it("keeps no daemon that has gone before its pool hears of it", async () => {
  const { consumer, provider } = await openMarket();
  const stays = await addDaemon(provider, { number: 2, onJob: answering(["hi"]) });
  const late = await holdBack(pool(), "register");
  await enrol(provider, 1);
  const goes = await connect(1);
  await goes.join(offerOf("test-model"));
  await late.made();
  goes.socket.close(1000, "gone");
  await goes.closed;
  late.release();
  await late.arrived();
  await until(async () => (await supply("test-model")).daemons === 1, "one daemon");
  for (let job = 0; job < 3; job++) expect((await chat(consumer.apiKey)).status).toBe(200);
  expect(stays.jobs).toHaveLength(3);
  await expectSettled(consumer, 8);
});

it("pays, frees and serves as ever when every call to a pool comes twice, the second time late", async () => {
  const { consumer, provider } = await openMarket();
  const prototype = await classOf<Scheduler>(pool());
  const told: { method: Told; args: unknown[] }[] = [];
  for (const method of ["register", "unregister", "report"] as const) {
    const original = prototype[method] as (...args: unknown[]) => Promise<void>;
    vi.spyOn(prototype, method).mockImplementation(async function (this: Scheduler, ...args: unknown[]) {
      told.push({ method, args: structuredClone(args) });
      await Reflect.apply(original, this, args);
    });
  }
  const first = await addDaemon(provider, { number: 1 });
  await addDaemon(provider, { number: 2, onJob: (job) => job.decline() });
  const answers = await Promise.all(Array.from({ length: 10 }, () => chat(consumer.apiKey)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
  await expectSettled(consumer, 16);
  // Of one daemon that stays each call is still true; what was said of jobs is not.
  vi.restoreAllMocks();
  expect(new Set(told.map(({ method }) => method))).toEqual(new Set(["register", "report"]));
  for (const { method, args } of told.toReversed()) {
    await (pool()[method] as (...args: unknown[]) => Promise<void>)(...args);
  }
  await expectSettled(consumer, 16);
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect(await receiptsOf(consumer)).toHaveLength(11);
  expect(new Set(first.jobs.map(({ job }) => job.job))).toHaveLength(11);
});
