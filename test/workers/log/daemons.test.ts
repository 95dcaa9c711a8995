import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { AccountId, DaemonId } from "../../../core/ids.ts";
import { type DaemonRecord, drainDaemon, enrolDaemon, getDaemon, listDaemons } from "../../../db/daemons.ts";

const account = "0000000000000000000001" as AccountId;
const other = "0000000000000000000002" as AccountId;
const daemon = (id: string, owner = account): DaemonRecord => ({
  id: id as DaemonId,
  account: owner,
  name: `daemon ${id}`,
  payout: "credits",
  tier: "desktop",
  created_at: 1_000,
  drained_at: null,
});

it("enrols a daemon once, however often it is told", async () => {
  const first = await enrolDaemon(env.DB, daemon("A"));
  expect(first).toEqual({ type: "enrolled", daemon: daemon("A") });
  expect(await enrolDaemon(env.DB, { ...daemon("A"), created_at: 2_000 })).toEqual(first);
  expect(await listDaemons(env.DB, account)).toEqual([daemon("A")]);
});

it("changes name, payout and tier for the same account", async () => {
  await enrolDaemon(env.DB, daemon("A"));
  const changed = { ...daemon("A"), name: "renamed", payout: "usdc", tier: "backbone" } as const;
  expect(await enrolDaemon(env.DB, { ...changed, created_at: 5_000 })).toEqual({ type: "enrolled", daemon: changed });
  expect(await getDaemon(env.DB, "A" as DaemonId)).toEqual(changed);
});

it("drains a daemon of its account, keeps the time of the first, and outlasts another enrolment", async () => {
  await enrolDaemon(env.DB, daemon("A"));
  const id = "A" as DaemonId;
  expect(await drainDaemon(env.DB, id, other, { drained: true, now: 2_000 })).toBeNull();
  const drained = { ...daemon("A"), drained_at: 3_000 };
  expect(await drainDaemon(env.DB, id, account, { drained: true, now: 3_000 })).toEqual(drained);
  expect(await drainDaemon(env.DB, id, account, { drained: true, now: 4_000 })).toEqual(drained);
  expect(await enrolDaemon(env.DB, daemon("A"))).toEqual({ type: "enrolled", daemon: drained });
  expect(await drainDaemon(env.DB, id, account, { drained: false, now: 5_000 })).toEqual(daemon("A"));
  expect(await getDaemon(env.DB, id)).toEqual(daemon("A"));
});

it("says so when another account has enrolled the key, and changes nothing", async () => {
  await enrolDaemon(env.DB, daemon("A"));
  expect(await enrolDaemon(env.DB, { ...daemon("A", other), name: "taken over" })).toEqual({ type: "conflict" });
  expect(await getDaemon(env.DB, "A" as DaemonId)).toEqual(daemon("A"));
  expect(await listDaemons(env.DB, other)).toEqual([]);
});

it("gives a key to one of two accounts that enrol it at once", async () => {
  const owners = [account, other];
  const results = await Promise.all(owners.map((owner) => enrolDaemon(env.DB, daemon("A", owner))));
  expect(results.map(({ type }) => type).sort()).toEqual(["conflict", "enrolled"]);
});

it("lists an account's daemons by pages", async () => {
  for (const id of ["C", "A", "B"]) await enrolDaemon(env.DB, daemon(id));
  await enrolDaemon(env.DB, daemon("D", other));
  expect((await listDaemons(env.DB, account, { limit: 2 })).map(({ id }) => id)).toEqual(["A", "B"]);
  expect((await listDaemons(env.DB, account, { after: "B" })).map(({ id }) => id)).toEqual(["C"]);
  expect(await getDaemon(env.DB, "E" as DaemonId)).toBeNull();
});
