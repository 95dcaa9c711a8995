/** What all runs of a test share: the market's model, its provider's machines, and the objects by their names. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { enrolDaemon } from "../../../db/daemons.ts";
import type { Scheduler } from "../../../durable-objects/scheduler/index.ts";
import { findModel } from "../../../workers/gateway/catalog.ts";
import { daemonKey } from "../../support/scripted-daemon.ts";
import { classOf } from "../job/hold-back.ts";
import { addModel, crash, openAccount, type TestAccount } from "../job/network.ts";
import type { MachineOptions } from "./machine.ts";
import { MODEL } from "./prices.ts";

export const SHARDS = 2;

/** The first and the third one's relay is local/0, the second one's local/1. */
export const MACHINES: readonly MachineOptions[] = [
  { number: 1, slots: 2, obeys: true },
  { number: 7, slots: 1, obeys: false },
  { number: 2, slots: 1, obeys: false },
];
export const SLOTS = MACHINES.reduce((total, { slots }) => total + slots, 0);

/** What the consumers of a run begin with: plenty from two kinds of lots, enough for one default answer, hardly anything. */
export const PURSES = [
  { bonus: "70.001", topup: "0.000200003" },
  { bonus: "33.333", topup: null },
  { bonus: "6", topup: null },
] as const;

let restoreScores = (): void => {};

/**
 * Scores stand still in these networks: a machine that lies would be in quarantine, and nothing more would happen to it. What
 * happens then is tested by itself (test/workers/scheduler/quarantine.test.ts).
 */
async function stillScores(): Promise<void> {
  const scheduler = await classOf<Scheduler>(poolStub());
  const report = Reflect.get(scheduler, "report");
  scheduler.report = function (this: Scheduler, relay, reports) {
    const still = reports.map((each) => (each.type === "ended" ? { ...each, effect: "unchanged" as const } : each));
    return Reflect.apply(report, this, [relay, still]);
  };
  restoreScores = () => void (scheduler.report = report);
}

export async function openMarket(): Promise<void> {
  await stillScores();
  await addModel(MODEL);
  const { account } = await openAccount(false);
  for (const { number } of MACHINES) {
    const row = { account, name: `machine ${number}`, payout: "credits", tier: "desktop", created_at: Date.now() };
    await enrolDaemon(env.DB, { id: daemonKey(number).id, ...row } as Parameters<typeof enrolDaemon>[1]);
  }
}

/** Lets the gateway forget the catalog: it was read in a time that is yet to come, and would be trusted until then. */
export async function closeMarket(): Promise<void> {
  restoreScores();
  await findModel(env, "none", Date.now());
}

/** Leaves nothing of a run before, whatever state that was given up in. */
export async function clearMarket(): Promise<void> {
  await Promise.all(Array.from({ length: SHARDS }, (_, shard) => crash(relayStub(shard))));
  await runInDurableObject(poolStub(), (_, { storage }) => storage.sql.exec("DELETE FROM registrations"));
  await crash(poolStub());
}

export function relayStub(shard: number): DurableObjectStub {
  return env.RELAY.getByName(`local/${shard}`);
}

export function poolStub(): DurableObjectStub {
  return env.SCHEDULER.getByName(`local/${MODEL.id}`);
}

export function accountStub({ account }: TestAccount): DurableObjectStub {
  return env.ACCOUNT.getByName(account);
}
