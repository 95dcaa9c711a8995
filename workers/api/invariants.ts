import { createRoute, type z } from "@hono/zod-openapi";
import { type AccountId, base62 } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { inSuspense, readSides, sampleJournal } from "../../db/invariants.ts";
import type { JournalRow } from "../../db/journal.ts";
import { timeText } from "../../protocol/network/common.ts";
import { invariants as invariantsShape } from "../../protocol/network/invariants.ts";
import { isSameRow, journalRowOf } from "../../queues/journal.ts";
import { pseudonymOf } from "../auth.ts";
import { configOf } from "../config.ts";
import { onAccount } from "../objects.ts";
import { answers, byAnyone, named, newApi, problems } from "./app.ts";

type Invariants = z.output<typeof invariantsShape>;
type Difference = Invariants["spot_check"]["differences"][number];

const getInvariants = createRoute({
  method: "get",
  path: "/invariants",
  tags: ["Network"],
  summary: "The sums that must be zero",
  description:
    "What the network's books come to, computed from D1. `shares`: what consumers were charged in a lane is what its payees " +
    "are owed. `journal`: what accounts were credited, sent and lost by expiry is what stands against it in `treasury` and " +
    "`pool` (backed) or `issuance` and `suspense` (unbacked). `totals`: each running total is what its entries come to. " +
    "`deposits`: what the treasury received on Solana is what was credited or waits for it, and every lot is what was paid for it. " +
    "And a few accounts, others each time, are asked whether the journal has their entries as they are. " +
    "`ok` is false where anything differs. At most half a minute old.",
  ...byAnyone,
  responses: { 200: answers(named("Invariants", invariantsShape), "The sums."), ...problems },
});

export const invariants = newApi();

let last: { readonly value: Invariants; readonly at: number; readonly env: Env } | null = null;

invariants.openapi(getInvariants, async (c) => {
  const now = Date.now();
  if (last === null || last.env !== c.env || now - last.at >= LIMITS.invariantsFreshMs) {
    last = { value: await read(c.env, now), at: now, env: c.env };
  }
  c.header("cache-control", "public, max-age=10");
  return c.json(last.value, 200);
});

async function read(env: Env, now: number): Promise<Invariants> {
  const [sides, suspense, spotCheck] = await Promise.all([readSides(env.DB), inSuspense(env.DB), checkSome(env)]);
  const sums = sides.map((sum) => {
    const difference = BigInt(sum.left) - BigInt(sum.right);
    return { ...sum, difference: String(difference), ok: difference === 0n };
  });
  return {
    ok: sums.every(({ ok }) => ok) && spotCheck.differences.length === 0,
    at: timeText(now),
    invariants: sums,
    in_transfer: sides.find(({ name, of }) => name === "totals" && of === "suspense")?.right ?? "0",
    in_suspense: suspense,
    spot_check: spotCheck,
  };
}

/** Holds the newest rows of some accounts against the accounts themselves. */
async function checkSome(env: Env): Promise<Invariants["spot_check"]> {
  const from = base62(crypto.getRandomValues(new Uint8Array(16)));
  const sample = [...(await sampleJournal(env.DB, from, LIMITS.invariantsSample))];
  const found = await Promise.all(sample.map(([account, rows]) => checkAccount(env, account, rows)));
  const entries = sample.reduce((count, [, rows]) => count + rows.length, 0);
  return { accounts: sample.length, entries, differences: found.flat() };
}

async function checkAccount(env: Env, account: string, rows: readonly JournalRow[]): Promise<Difference[]> {
  const wanted = rows.map(({ seq }) => seq);
  const entries = await onAccount(env, account as AccountId, (object) => object.audit(wanted));
  const own = new Map(
    entries.map((entry) => [entry.seq, journalRowOf({ account, type: entry.type, body: entry.body })]),
  );
  // Everybody may see this, so it names the account as receipts name a consumer.
  const shown = pseudonymOf(account as AccountId, configOf(env));
  return rows.flatMap((row) => {
    const entry = own.get(row.seq);
    if (entry === undefined)
      return [{ account: shown, seq: row.seq, detail: "the account has no entry in this place" }];
    if (!("error" in entry) && isSameRow(entry, row)) return [];
    return [{ account: shown, seq: row.seq, detail: "the account has another entry in this place" }];
  });
}
