/** What the API's tests share: calls as a client makes them, accounts, jobs that were really held and posted. */

import { createExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { type AccountId, type JobId, newJobId } from "../../../core/ids.ts";
import type { Outcome } from "../../../core/outcome.ts";
import { perThousand } from "../../../core/pricing.ts";
import type { JobFacts } from "../../../core/receipt/body.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { parseApiKey } from "../../../protocol/api-key.ts";
import type { AccountRpc, HoldRequest } from "../../../protocol/internal/account.ts";
import { app } from "../../../workers/app.ts";
import { pseudonymOf } from "../../../workers/auth.ts";
import { configOf } from "../../../workers/config.ts";
import { bodyOf, TEST_TERMS } from "../../support/receipts.ts";

export const ORIGIN = "https://tollmill.test";
export const ADMIN = "test-admin-key";

export interface Call {
  readonly method?: string;
  /** Sent as the bearer token. */
  readonly key?: string;
  /** Sent as JSON; a string goes out as it is. */
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // Tests look into answers of every shape; their expectations are the check.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any;
}

export function requestOf(path: string, { method, key, body, headers }: Call = {}): Request {
  return new Request(ORIGIN + path, {
    method: method ?? (body === undefined ? "GET" : "POST"),
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
}

/** Calls the Worker from outside. */
export async function call(path: string, options: Call = {}): Promise<Answer> {
  return read(await exports.default.fetch(requestOf(path, options)));
}

/** Calls the app with some bindings replaced. */
export async function callWith(bindings: Partial<Env>, path: string, options: Call = {}): Promise<Answer> {
  return read(await app.fetch(requestOf(path, options), { ...env, ...bindings }, createExecutionContext()));
}

async function read(response: Response): Promise<Answer> {
  const text = new TextDecoder().decode(await response.arrayBuffer());
  const isJson = /[/+]json(;|$)/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
}

export interface TestAccount {
  readonly account: AccountId;
  readonly key: string;
  readonly secretHash: string;
  readonly object: AccountRpc;
}

/** Opens an account as an operator does; with a starter balance of 1,200 credits unless told. */
export async function openAccount(id = "first", starter = true): Promise<TestAccount> {
  const { json } = await call("/api/v1/admin/accounts", { key: ADMIN, body: { id, name: "test", starter } });
  const key = parseApiKey(json.api_key, configOf(env).edgeKey);
  if (key === null) throw new Error("the network does not know its own key");
  const object = env.ACCOUNT.getByName(key.account) as unknown as AccountRpc;
  return { account: key.account, key: json.api_key, secretHash: key.secretHash, object };
}

/** Reserves a job of 8B q4: at most 100 prompt and `completion` tokens. */
export async function holdJob(
  { object, secretHash }: TestAccount,
  completion = 1_000,
  changes: Partial<HoldRequest> = {},
): Promise<JobId> {
  const job = newJobId(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  const held = await object.hold({
    job,
    credentials: { secretHash },
    keyed: false,
    lane: "public",
    lanes: ["public"],
    choosesProvider: false,
    mostBasisPoints: null,
    maxAsk: perThousand(TEST_TERMS.rate),
    allowPaid: false,
    model: "maker/eight",
    body: hashText("request"),
    rate: TEST_TERMS.rate,
    promptBound: 100,
    completion,
    completionDefault: completion,
    choices: 1,
    expiresAt: Date.now() + 600_000,
    ...changes,
  });
  if (held.type !== "held") throw new Error(`not held: ${JSON.stringify(held)}`);
  return job;
}

/** Settles a held job as a relay does: 100 prompt and 1,000 completion tokens, 82 credits where it was completed. */
export async function settleJob(
  account: TestAccount,
  job: JobId,
  provider?: AccountId,
  outcome: Outcome = "completed",
  changes: Partial<Pick<JobFacts, "lane" | "times" | "reserved">> = {},
): Promise<string> {
  const options = { facts: { outcome, ...(provider === undefined ? {} : { provider }) } };
  const { price, charge: _charge, split: _split, seq: _seq, previous: _previous, v: _v, ...facts } = bodyOf(options);
  const { asks, winning_ask, second_ask } = price;
  const posted = await account.object.post({
    ...facts,
    ...changes,
    job,
    consumer: pseudonymOf(account.account, configOf(env)),
    terms: TEST_TERMS,
    auction: { asks, winning_ask, second_ask },
    payees: { provider: facts.provider, network: "network" },
  });
  if (posted.type !== "posted") throw new Error(`not posted: ${JSON.stringify(posted)}`);
  return posted.body;
}

/** An object namespace that counts how often it is used, and lets nobody in. */
export function forbiddenObjects(): { bindings: Partial<Env>; uses: string[] } {
  const uses: string[] = [];
  const forbid = (name: string) =>
    new Proxy({} as DurableObjectNamespace, {
      get: (_, method) => {
        uses.push(`${name}.${String(method)}`);
        throw new Error("no object may be touched here");
      },
    });
  const names = ["ACCOUNT", "ACCOUNT_SLICE", "SCHEDULER", "RELAY"] as const;
  return { bindings: Object.fromEntries(names.map((name) => [name, forbid(name)])), uses };
}
