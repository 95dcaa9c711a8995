import { expect, it } from "vitest";
import type { AccountId } from "../../../core/ids.ts";
import { Memberships } from "../../../durable-objects/relay/memberships.ts";

/** A D1 that answers when it is told to, with what was true when it was asked. */
function slowD1() {
  const state = { networks: ["home"], reads: [] as (() => void)[] };
  const all = () => {
    const results = state.networks.map((network) => ({ network }));
    const { promise, resolve } = Promise.withResolvers<object>();
    state.reads.push(() => resolve({ results }));
    return promise;
  };
  const db = { prepare: () => ({ bind: () => ({ all }) }) } as unknown as D1Database;
  return { db, state };
}

it("reads again what was read before a change that came meanwhile", async () => {
  const { db, state } = slowD1();
  const memberships = new Memberships(db);
  const asked = memberships.of("account" as AccountId, ["home"]);
  state.networks = [];
  memberships.changed();
  state.reads.shift()?.();
  await Promise.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(state.reads).toHaveLength(1);
  state.reads.shift()?.();
  expect(await asked).toEqual([]);
});

it("asks nobody for a daemon that names none", async () => {
  const { db, state } = slowD1();
  expect(await new Memberships(db).of("account" as AccountId, [])).toEqual([]);
  expect(state.reads).toEqual([]);
});
