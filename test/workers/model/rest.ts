/** Bringing a network to rest: machines come back and hand in, waiting jobs are served, and what nobody knows of expires. */

import { expect } from "vitest";
import { HOLD_GRACE_MS, HOLD_SLA_MS, LIMITS } from "../../../core/limits.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import type { Machine } from "./machine.ts";
import { creditsOf, repeatableAtRest } from "./out-of-turn.ts";
import type { World } from "./world.ts";

/** What passes while the parts find out by themselves what they have lost: queues, retries, leases, claims, waiting. */
const PATIENCE_MS = [0, 500, 1_000, 5_000, 5_000, 10_000, 60_000, 60_000, 10_000];
/** The life of a hold. */
const HOLD_MS = GENESIS_PARAMETERS.queueLimitMs + HOLD_SLA_MS + HOLD_GRACE_MS;

export async function bringToRest(world: World): Promise<void> {
  world.mail.isUp = true;
  world.wire.disturbNothing();
  for (const machine of world.machines) machine.serves = true;
  await connectAll(world.machines.filter(({ isUsable }) => !isUsable));
  for (const machine of world.machines) {
    for (const attempt of machine.attempts) if (attempt.isLive) machine.serve(attempt);
  }
  for (const ms of PATIENCE_MS) {
    await world.pass(ms);
    await connectAll(world.machines.filter(({ isConnected }) => !isConnected));
    await world.calm();
    await world.observe();
    if (await isAtRest(world)) break;
    for (const machine of world.machines) machine.resend();
  }
  await world.caughtUp();
  for (const { consumer, credit } of creditsOf(world)) await world.giveAgain(consumer, credit);
  world.forgotten.push(...world.jobs.open);
  await world.pass(HOLD_MS);
  await world.observe();
  await sayAllAgain(world);
  await deliverAll(world);
}

async function connectAll(machines: readonly Machine[]): Promise<void> {
  await Promise.all(machines.map((machine) => machine.connect()));
}

async function isAtRest(world: World): Promise<boolean> {
  const { free, slots, waiting } = await world.supply();
  return (
    waiting === 0 &&
    free === slots &&
    world.calls.every(({ ended }) => ended !== null) &&
    world.machines.every(({ claims }) => claims.length === 0) &&
    world.consumers.every(({ books }) => books.held === 0)
  );
}

/** Every call that an account ever got comes once more, in another order, and changes nothing. */
async function sayAllAgain(world: World): Promise<void> {
  const before = world.consumers.map(({ books }) => books);
  for (const spoken of repeatableAtRest(world).toReversed()) await world.wire.repeat(spoken);
  await world.observe();
  expect(world.consumers.map(({ books }) => books)).toEqual(before);
}

/** Accounts look after what the log lacks, until they find nothing, and the queue delivers what is sent. */
async function deliverAll(world: World): Promise<void> {
  for (let rung = true; rung || world.mail.waiting > 0; ) {
    await world.mail.deliverAll();
    await world.pass(LIMITS.accountAlarmMs);
    const found = await Promise.all(world.consumers.map((consumer) => world.ring(consumer)));
    rung = found.includes(true);
  }
  await world.observe();
}
