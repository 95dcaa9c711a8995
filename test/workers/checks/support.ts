/** What the tests of failed checks share: jobs that were really held and posted, and a queue that delivers what was sent. */

import { env } from "cloudflare:workers";
import { expect, vi } from "vitest";
import type { AccountId, JobId } from "../../../core/ids.ts";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import type { ClaimCheck } from "../../../core/receipt/checks.ts";
import type { CheckReversalRow } from "../../../db/checks.ts";
import type { SignedReceipt } from "../../../protocol/receipt.ts";
import { pseudonymOf } from "../../../workers/auth.ts";
import { configOf } from "../../../workers/config.ts";
import { bodyOf, idOf, signText, TEST_TERMS } from "../../support/receipts.ts";
import { ADMIN, call, holdJob, openAccount, type TestAccount } from "../api/support.ts";
import { deliver, jobOf, pack } from "../log/support.ts";

/**
 * In the middle of a window; what is appended until an hour before its close joins it. Far in the future, so that no alarm
 * that an object sets rings by itself.
 */
export const START = Date.UTC(2096, 10, 25, 15);
export const CLOSE = Date.UTC(2096, 10, 25, 18);
/** What every job costs: 100 + 1,000 tokens at the test's rate. */
export const PRICE = 82_000;
export const STARTER = 1_200_000;
export const PROVIDER = idOf<AccountId>("provider");

type Options = NonNullable<Parameters<typeof deliver>[1]>;

/** A queue in the hands of a test, with the clock. */
export class Post {
  readonly sent: { readonly body: unknown; readonly delaySeconds: number }[] = [];

  constructor() {
    vi.useFakeTimers({ toFake: ["Date"], now: START });
    vi.spyOn(Object.getPrototypeOf(env.RECEIPTS) as Queue, "send").mockImplementation((body, options) => {
      this.sent.push({ body, delaySeconds: options?.delaySeconds ?? 0 });
      return Promise.resolve({} as QueueSendResponse);
    });
  }

  /** Delivers one batch. */
  deliver(bodies: readonly unknown[], options: Options = {}): ReturnType<typeof deliver> {
    return deliver(bodies, { now: Date.now(), ...options });
  }

  /** Appends receipts and delivers whatever is sent because of that, each message when its time has come, until all is quiet. */
  async append(receipts: readonly SignedReceipt[], options: Options = {}): Promise<void> {
    if (receipts.length > 0) expect((await this.deliver([pack(receipts)], options)).summary.error).toBeNull();
    await this.quiet(options);
  }

  async quiet(options: Options = {}): Promise<void> {
    for (let turn = 0; this.sent.length > 0; turn++) {
      if (turn === 100) throw new Error("it never ends");
      const messages = this.sent.splice(0);
      vi.setSystemTime(Date.now() + 1_000 * Math.min(...messages.map(({ delaySeconds }) => delaySeconds)));
      const { summary } = await this.deliver(
        messages.map(({ body }) => body),
        options,
      );
      expect(summary.error).toBeNull();
    }
  }
}

export interface Served {
  readonly daemon?: string;
  readonly model?: string;
  /** When it ended; now unless it says so. */
  readonly at?: number;
  readonly failed?: ClaimCheck;
}

/** A job of a consumer that a daemon served, or whose claim failed a check, with its receipt. */
export async function served(consumer: TestAccount, options: Served = {}): Promise<SignedReceipt> {
  const { daemon = "liar", model = "maker/eight", at = Date.now(), failed } = options;
  const job = await holdJob(consumer);
  const told = failed === undefined ? {} : { failed_check: failed };
  const times = { queued: at - 900, dispatched: at - 800, first_token: at - 500, completed: at };
  const outcome = failed === undefined ? "completed" : "unverified";
  const body = bodyOf({ daemon, facts: { model, outcome, times, job, ...told } });
  const { price, charge: _charge, split: _split, seq: _seq, previous: _previous, v: _v, ...facts } = body;
  const { asks, winning_ask, second_ask } = price;
  const posted = await consumer.object.post({
    ...facts,
    claim: failed === undefined ? facts.claim : null,
    consumer: pseudonymOf(consumer.account, configOf(env)),
    terms: TEST_TERMS,
    auction: { asks, winning_ask, second_ask },
    payees: { provider: facts.provider, network: "network" },
  });
  if (posted.type !== "posted") throw new Error(`not posted: ${JSON.stringify(posted)}`);
  vi.setSystemTime(Date.now() + 1);
  return signText(posted.body);
}

const TABLES = ["receipts", "segments", "rollups", "failed_checks", "check_reversals", "accounts", "journal"];

/** Two consumers with 1,200 credits each, in a network of which D1 knows nothing else. */
export async function consumers(): Promise<[TestAccount, TestAccount]> {
  await env.DB.batch(TABLES.map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
  // Others each time, so that nothing of an earlier test is theirs.
  const test = crypto.randomUUID();
  return [await openAccount(`ada-${test}`), await openAccount(`ben-${test}`)];
}

export async function available({ key }: TestAccount): Promise<number> {
  return Math.round(Number((await call("/api/v1/balance", { key })).json.available) * 1_000);
}

/** The bodies of an account's reversals. */
export async function reversalsOf({ object, secretHash }: TestAccount): Promise<ReceiptBody[]> {
  const answer = await object.entries({ secretHash }, 0, 1_000);
  if (!answer.ok) throw new Error(answer.refusal.code);
  return answer.value.filter(({ type }) => type === "adjustment").map(({ body }) => JSON.parse(body) as ReceiptBody);
}

/** The jobs that were taken back, in the accounts of both consumers. */
export async function takenBack(...accounts: readonly TestAccount[]): Promise<JobId[]> {
  const all = await Promise.all(accounts.map(reversalsOf));
  return all
    .flat()
    .map(({ job }) => job)
    .sort();
}

export const jobsOf = (receipts: readonly SignedReceipt[]): JobId[] => receipts.map(jobOf).sort();

/** What operators see, by the failed job. */
export async function shownChecks() {
  const { status, json } = await call("/api/v1/admin/checks", { key: ADMIN });
  expect(status).toBe(200);
  return json.data as { readonly [field: string]: unknown }[];
}

export async function reversalRows(): Promise<CheckReversalRow[]> {
  return (await env.DB.prepare("SELECT * FROM check_reversals ORDER BY job").all<CheckReversalRow>()).results;
}

/** An account namespace whose `reverse` runs as it is told to. */
export function accountsWith(reverse: (name: string, run: () => Promise<unknown>) => Promise<unknown>): Env["ACCOUNT"] {
  const wrap = (stub: object, id: string) =>
    new Proxy(stub, {
      get: (target, name) => {
        const method = Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>;
        return name === "reverse" ? (...args: unknown[]) => reverse(id, () => method(...args)) : method;
      },
    });
  return { getByName: (name: string) => wrap(env.ACCOUNT.getByName(name), name) } as unknown as Env["ACCOUNT"];
}
