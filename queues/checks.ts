/**
 * Taking back what failed checks take back (economics.md §9). What there is to do stands in D1, written with the receipts
 * that cause it. Every step is bounded and may be done twice: an account takes a receipt back once, and a row of D1 that has
 * ended stays as it is. So whatever breaks, the next step goes on where D1 says.
 */

import type { AccountId, JobId } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import type { ReceiptBody } from "../core/receipt/body.ts";
import { isByCheck, reversalReason, reversedBy } from "../core/receipt/checks.ts";
import { addAccounts, unlistedAccounts } from "../db/accounts.ts";
import {
  checksOf,
  type DueReversal,
  dueReversals,
  keepTried,
  lookThrough,
  nextCheckAt,
  stateOfCheck,
  type Tried,
} from "../db/checks.ts";
import { emit, emitError } from "../durable-objects/shared/events.ts";
import { holderOf } from "../durable-objects/shared/holder.ts";
import { retrying } from "../durable-objects/shared/retry.ts";
import { edgeKeyOf } from "../durable-objects/shared/settings.ts";
import type { ReverseResult } from "../protocol/internal/account.ts";
import type { ChecksMessage } from "../protocol/internal/queue.ts";
import { pseudonymUnder } from "../protocol/pseudonym.ts";
import { retryDelaySeconds } from "./retry.ts";

export type ChecksEnv = Pick<Env, "DB" | "ACCOUNT" | "ACCOUNT_SLICE" | "RECEIPTS" | "EDGE_KEY">;

/**
 * Does what is due now, as much as one event may, and sees to it that somebody comes back for the rest. Throws where that
 * fails: then whoever called has to come back.
 */
export async function pursueChecks(env: ChecksEnv, now: number): Promise<void> {
  const next = await workOff(env, now).catch((error: unknown) => {
    emitError("failed_checks_not_pursued", error);
    return now + LIMITS.queueRetrySeconds * 1_000;
  });
  if (next === null) return;
  const delaySeconds = Math.min(LIMITS.queueRetryMaxSeconds, Math.max(0, Math.ceil((next - now) / 1_000)));
  const poke: ChecksMessage = { v: 1, checks: "due" };
  await env.RECEIPTS.send(poke, { contentType: "json", delaySeconds });
}

/** Works in bounded rounds. Returns when to go on, or null when nothing is left. */
async function workOff(env: ChecksEnv, now: number): Promise<number | null> {
  const touched = new Set<JobId>();
  for (let round = 0; round < LIMITS.checkRounds; round++) {
    const looked = await lookThrough(env.DB, now);
    const due = await dueReversals(env.DB, now, LIMITS.checkReversals);
    if (due.length > 0) await reverseAll(env, due, now);
    for (const failed of [...(looked ?? []), ...due.map(({ failed }) => failed)]) touched.add(failed);
    if (looked === null && due.length === 0) break;
  }
  if (touched.size > 0) await tell(env, [...touched]);
  return await nextCheckAt(env.DB, now);
}

/** Tries to take receipts back, all of them at once, and keeps what became of each. */
async function reverseAll(env: ChecksEnv, due: readonly DueReversal[], now: number): Promise<void> {
  const known = due.filter(({ account }) => account !== null);
  const tried = await Promise.all(known.map((reversal) => reverse(env, reversal, now)));
  const strangers = due.filter(({ account }) => account === null);
  // Those that are found now have their turn in the next round.
  const found = strangers.length > 0 && (await listAccounts(env));
  if (!found) {
    for (const reversal of strangers) {
      emit("check_waits_for_account", { failed: reversal.failed, job: reversal.job, consumer: reversal.consumer });
      tried.push(later(reversal, now));
    }
  }
  if (tried.length > 0) await keepTried(env.DB, tried);
}

async function reverse(env: ChecksEnv, reversal: DueReversal, now: number): Promise<Tried> {
  const { job, failed, name, account, tries } = reversal;
  const command = { job, reason: reversalReason(name), by: [reversedBy(name)] };
  try {
    const result = await retrying<ReverseResult>(
      async () => await holderOf(env, account as AccountId, job).reverse(command),
    );
    if (result.type === "refused") {
      emit("check_reversal_refused", { failed, job, code: result.refusal.code });
      return { job, state: "refused", tries, next_at: now, seq: null, refusal: result.refusal.code };
    }
    // A receipt is taken back once: where two operators were first, the account answers with their reversal.
    const by = (JSON.parse(result.body) as ReceiptBody).reversal?.by ?? [];
    const state = isByCheck(by) ? "reversed" : "already_reversed";
    emit("receipt_reversed_by_check", { failed, job, check: name, outcome: state, seq: result.seq });
    return { job, state, tries, next_at: now, seq: result.seq, refusal: null };
  } catch (error) {
    emitError("check_reversal_failed", error, { failed, job });
    return later(reversal, now);
  }
}

function later({ job, tries }: DueReversal, now: number): Tried {
  const seconds = Math.min(LIMITS.checkRetrySeconds, retryDelaySeconds(tries + 1));
  return { job, state: "due", tries: tries + 1, next_at: now + seconds * 1_000, seq: null, refusal: null };
}

/** Lists accounts that were opened before D1 had a list of them. False where there are none. */
async function listAccounts(env: ChecksEnv): Promise<boolean> {
  const unlisted = await unlistedAccounts(env.DB, LIMITS.listedAccounts);
  if (unlisted.length === 0) return false;
  const edgeKey = edgeKeyOf(env);
  const rows = unlisted.map(({ id, at }) => ({ id, pseudonym: pseudonymUnder(edgeKey, id), opened_at: at ?? 0 }));
  await addAccounts(env.DB, rows);
  return true;
}

/** Says which failed checks are done, and what they came to. */
async function tell(env: ChecksEnv, jobs: readonly JobId[]): Promise<void> {
  for (const check of await checksOf(env.DB, jobs)) {
    if (stateOfCheck(check) !== "done") continue;
    const { job, name, daemon, model, reversed, already_reversed, refused, reversed_nano_usd: nano_usd } = check;
    emit("failed_check_done", {
      failed: job,
      check: name,
      daemon,
      model,
      reversed,
      already_reversed,
      refused,
      nano_usd,
    });
  }
}
