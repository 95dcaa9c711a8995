/** Routes beside the Worker's own, which measure single parts of it. They exist in the benchmark's bundle only. */

import { type AccountId, base62, type JobId, newJobId } from "../../core/ids.ts";
import { perThousand } from "../../core/pricing.ts";
import type { JobFacts } from "../../core/receipt/body.ts";
import type { AccountRpc, HoldRequest, SliceHint } from "../../protocol/internal/account.ts";
import { schedulerName, sliceName } from "../../protocol/internal/names.ts";
import type { SchedulerRpc } from "../../protocol/internal/pool.ts";
import type { SliceRpc } from "../../protocol/internal/slice.ts";
import { add, beginCounting, endCounting } from "./counters.ts";

interface EdgeEnv {
  readonly ACCOUNT: { getByName(name: string): AccountRpc };
  readonly ACCOUNT_SLICE: { getByName(name: string): SliceRpc };
  readonly SCHEDULER: { getByName(name: string): Pick<SchedulerRpc, "job"> };
  readonly RECEIPTS: { send(message: unknown, options: object): Promise<void> };
}
interface Handler {
  fetch(request: Request, env: never, context: never): Response | Promise<Response>;
  queue(batch: never, env: never, context: never): Promise<void>;
}

const HASH = "ab".repeat(32);
const RATE = { completion: 80, prompt: 20, per: 1 };
const HOLD_MS = 780_000;

/** The Worker with these routes in front of it. */
export function withRoutes(worker: Handler): Handler {
  return {
    async fetch(request, env, context) {
      const path = new URL(request.url).pathname;
      const route = path.startsWith("/bench/") ? ROUTES[path.slice("/bench/".length)] : undefined;
      return route === undefined ? await worker.fetch(request, env, context) : await route(request, env);
    },
    async queue(batch, env, context) {
      add("queue batches");
      const start = Date.now();
      await worker.queue(batch, env, context);
      add("queue ms", Date.now() - start);
    },
  };
}

const ROUTES: Readonly<Record<string, (request: Request, env: EdgeEnv) => Response | Promise<Response>>> = {
  begin: () => {
    beginCounting();
    return new Response("ok");
  },
  counts: () => Response.json(endCounting()),
  "hold-post": holdAndPost,
  async log(request, env) {
    await env.RECEIPTS.send(await request.json(), { contentType: "json" });
    return new Response("ok");
  },
  signatures,
  calls,
};

/** What the large account said last of its slices. */
let hint: SliceHint = { count: 0, until: 0 };

/** One hold and its post: what an account does for a job, or with `x-slices` whichever of its slices is drawn. */
async function holdAndPost(request: Request, env: EdgeEnv): Promise<Response> {
  const name = request.headers.get("x-account") as AccountId;
  const secretHash = request.headers.get("x-secret-hash") ?? "";
  const now = Date.now();
  const count = request.headers.has("x-slices") && now < hint.until ? hint.count : 0;
  const slice = Math.floor(Math.random() * (count + 1));
  const job = newJobId(now, crypto.getRandomValues(new Uint8Array(10)), slice);
  const hold = holdOf(job, secretHash, now);
  const held = slice === 0 ? null : await env.ACCOUNT_SLICE.getByName(sliceName(name, slice)).hold(hold);
  if (held?.type === "held") {
    return ended(await env.ACCOUNT_SLICE.getByName(sliceName(name, slice)).post(factsOf(job, now)));
  }
  const account = env.ACCOUNT.getByName(name);
  const own = newJobId(now, crypto.getRandomValues(new Uint8Array(10)));
  const answer = await account.hold(holdOf(own, secretHash, now));
  hint = answer.slices ?? hint;
  return ended(answer.type === "held" ? await account.post(factsOf(own, now)) : answer);
}

function ended({ type }: { readonly type: string }): Response {
  return new Response(type, { status: type === "posted" ? 200 : 500 });
}

function holdOf(job: JobId, secretHash: string, now: number): HoldRequest {
  return {
    job,
    keyed: false,
    credentials: { secretHash },
    lane: "public",
    lanes: ["public"],
    choosesProvider: false,
    mostBasisPoints: null,
    maxAsk: perThousand(RATE),
    allowPaid: false,
    model: "bench",
    body: HASH,
    rate: RATE,
    promptBound: 64,
    completion: 64,
    completionDefault: 64,
    choices: 1,
    expiresAt: now + HOLD_MS,
  };
}

function factsOf(job: JobId, now: number): JobFacts {
  const usage = { prompt: 8, completion: 64 };
  return {
    network: "local",
    job,
    n: 0,
    outcome: "completed",
    lane: "public",
    model: "bench",
    quantization: "q8",
    consumer: PSEUDONYM as JobFacts["consumer"],
    provider: PSEUDONYM,
    daemon: HASH as JobFacts["daemon"],
    fence: 1,
    usage: { ...usage, relayed: 64 },
    times: { queued: now, dispatched: now, first_token: now, completed: now },
    terms: { rate: RATE, floor: null },
    auction: { asks: 0, winning_ask: null, second_ask: null },
    digest: { request: HASH, response: HASH, salt: HASH.slice(32) },
    claim: { usage, signature: "A".repeat(86) },
    payees: { provider: PSEUDONYM, network: "network" },
  };
}

const PSEUDONYM = base62(new Uint8Array(16).fill(7));

/** Signs or verifies a text of a receipt's size so many times, one after the other. */
async function signatures(request: Request): Promise<Response> {
  const { operation, times } = (await request.json()) as { operation: "sign" | "verify"; times: number };
  const text = new Uint8Array(1_200).fill(97);
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new TypeError("Ed25519 keys come in pairs");
  const { privateKey, publicKey } = pair;
  const signature = await crypto.subtle.sign("Ed25519", privateKey, text);
  for (let i = 0; i < times; i++) {
    if (operation === "sign") await crypto.subtle.sign("Ed25519", privateKey, text);
    else await crypto.subtle.verify("Ed25519", publicKey, signature, text);
  }
  return new Response("ok");
}

/** Calls an object that answers at once so many times, one after the other. */
async function calls(request: Request, env: EdgeEnv): Promise<Response> {
  const times = Number(await request.text());
  const now = Date.now();
  const nobody = newJobId(now, new Uint8Array(10));
  const scheduler = env.SCHEDULER.getByName(schedulerName("bench", "calls"));
  for (let call = 0; call < times; call++) await scheduler.job(nobody);
  return new Response("ok");
}
