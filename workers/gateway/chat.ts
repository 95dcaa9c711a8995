/** `POST /v1/chat/completions` (interfaces.md §1; architecture.md, One job). */

import type { Context } from "hono";
import { type Refusal, refuse } from "../../core/errors.ts";
import { type AccountId, type JobId, sliceOf } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { PACKAGES } from "../../core/packages.ts";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import { formatCredits, type Millicredits } from "../../core/units.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import { sha256Hex } from "../../durable-objects/shared/hash.ts";
import { within } from "../../durable-objects/shared/within.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import type { HoldAnswer } from "../../protocol/internal/account.ts";
import { RELAY_RESULT } from "../../protocol/internal/job.ts";
import { shownPackage } from "../../protocol/network/deposits.ts";
import { type Offers, softStopRefusal } from "../../protocol/openai/soft-stop.ts";
import { STREAM_HEADERS, type StreamHead } from "../../protocol/openai/stream.ts";
import { encodeHeader } from "../../protocol/x402/messages.ts";
import { authenticate } from "../auth.ts";
import { readJsonText } from "../body.ts";
import { type Config, configOf } from "../config.ts";
import { type HttpEnv, refused } from "../http.ts";
import { onAccount, onSlice } from "../objects.ts";
import { nearestRegion, placeOf } from "../regions.ts";
import { paymentRequired } from "../x402/offer.ts";
import { payWithCall } from "../x402/pay.ts";
import { leastAsk } from "./asks.ts";
import { findModel } from "./catalog.ts";
import { dispatchedHeaders, heldHeaders, quotaHeaders, refreshAt } from "./headers.ts";
import { holdRequest } from "./hold-request.ts";
import { freshJobId, jobIdFor } from "./idempotency.ts";
import { heldJob, ownJob } from "./job-to-open.ts";
import { memberNetwork } from "./networks.ts";
import { type Opened, openJob, releaseHold } from "./open-job.ts";
import { type PreparedChat, parseChat, prepareChat } from "./prepare.ts";
import { learnSlices } from "./slices.ts";
import { relayedStream, waitingStream } from "./stream-body.ts";

/** Answers a chat completion: holds its worst case, opens it, and passes the relay's answer on. */
export async function chatCompletions(c: Context<HttpEnv>): Promise<Response> {
  const config = configOf(c.env);
  const key = authenticate(c, config);
  if (!key.ok) return refused(c, key.refusal);
  const text = await readJsonText(c.req.raw, LIMITS.requestBodyBytes);
  if (!text.ok) return refused(c, text.refusal);
  const request = parseChat(text.value);
  if (!request.ok) return refused(c, request.refusal);
  const asked = Date.now();
  const model = await findModel(c.env, request.value.model, asked);
  if (model === undefined) return refused(c, refuse("model_not_found", { param: "model" }));
  const isOwn = request.value.route === "self";
  // What an own device does is free.
  const payment = isOwn ? undefined : c.req.header("payment-signature");
  // Who pays for a call wants it to be paid.
  const wanted = payment === undefined ? request.value : { ...request.value, allow_paid: true };
  const { account } = key.value;
  const member = await memberNetwork(c.env, request.value.network, account, asked);
  const least = await leastAsk(c.env, c.executionCtx, config, model, asked);
  const prepared = prepareChat(wanted, model, config.parameters, member, least);
  if (!prepared.ok) return refused(c, prepared.refusal);
  if (isOwn) return await onOwnDevice(c, config, key.value, prepared.value, text.value, asked);
  const idFor = (at: number) => jobIdFor(account, c.req.header("idempotency-key"), at);
  let id = await idFor(asked);
  if (id.ok && payment !== undefined) {
    const refusal = await payWithCall(c, config, key.value, payment);
    if (refusal !== null) return refused(c, refusal);
    // That may have taken a minute, and a job begins when it is paid for.
    id = await idFor(Date.now());
  }
  if (!id.ok) return refused(c, id.refusal);

  const now = payment === undefined ? asked : Date.now();
  const body = new Uint8Array(utf8ToBytes(text.value));
  const call: Call = { job: id.value.job, keyed: id.value.keyed && c.var.requestId, told: false };
  const holding = hold(c.env, config, key.value, call, prepared.value, body, now);
  let told: Refusal | undefined;
  const refusal = (held: RefusedHold) => (told ??= refusalOf(c, config, account, held, now));
  const opening = holding.then(async (held): Promise<Opened> => {
    if (held.type !== "held") {
      return { type: "refused", refusal: refusal(held), retryAfterSeconds: null, grant: null };
    }
    const job = heldJob(config, account, call.job, prepared.value, held, body, now);
    return await openJob(c.env, config, nearestRegion(config, c.req.raw), job, c.req.raw.signal);
  });
  // A consumer that leaves ends this request at once; the hold is seen to nevertheless, until somebody else has it.
  c.executionCtx.waitUntil(opening.catch(() => {}));
  const held = request.value.stream === true ? await within(LIMITS.headersAfterMs, holding) : await holding;
  call.told = true;
  if (held === null) return beginWithoutHold(c, config, call.job, prepared.value, opening, now);
  if (held.type !== "held") return refuseHold(c, call.job, held, refusal(held), now);
  const headers = { ...heldHeaders(call.job, held, now), ...quotaHeaders(held.quota) };
  return await answer(c, config, call.job, prepared.value, opening, headers, now);
}

/** A job for the account's own daemons: nothing is held, and its key alone is asked for (economics.md §6). */
async function onOwnDevice(
  c: Context<HttpEnv>,
  config: Config,
  key: ApiKey,
  prepared: PreparedChat,
  text: string,
  now: number,
): Promise<Response> {
  const { account, secretHash } = key;
  const { refusal, quota } = await onAccount(c.env, account, (object) =>
    object.admit({ secretHash }, prepared.model.id),
  );
  if (refusal !== null) return refuseHold(c, freshJobId(now, 0), { type: "refused", refusal, quota }, refusal, now);
  const job = ownJob(config, account, freshJobId(now, 0), prepared, new Uint8Array(utf8ToBytes(text)), now);
  const opening = openJob(c.env, config, nearestRegion(config, c.req.raw), job, c.req.raw.signal);
  c.executionCtx.waitUntil(opening);
  const { job: id } = job.acquire;
  return await answer(c, config, id, prepared, opening, { "x-job-id": id, ...quotaHeaders(quota) }, now);
}

/** A stream whose account takes long to answer begins all the same; what the account refuses is then its last event. */
function beginWithoutHold(
  c: Context<HttpEnv>,
  config: Config,
  job: JobId,
  { model, choices }: PreparedChat,
  opening: Promise<Opened>,
  now: number,
): Response {
  const opened = opening.catch((error: unknown): Opened => {
    emitError("hold_failed", error, { job });
    return { type: "refused", refusal: refuse("internal_error"), retryAfterSeconds: null, grant: null };
  });
  const position = () => placeOf(c.env, config, model.id, job);
  const stream = waitingStream(opened, position, headOf(job, model.id, choices, now));
  return c.body(stream, 200, { "x-job-id": job, "x-credits-refresh": refreshAt(now), ...STREAM_HEADERS });
}

function headOf(job: JobId, model: string, choices: number, queuedAt: number): StreamHead {
  return { id: `chatcmpl-${job}`, created: Math.floor(queuedAt / 1_000), model, choices };
}

/** A job on its way to its hold. */
interface Call {
  /** Its id, which changes as long as nobody was told it: a slice that cannot decide leaves the job to the account. */
  job: JobId;
  readonly keyed: string | false;
  told: boolean;
}

async function hold(
  env: Env,
  config: Config,
  key: ApiKey,
  call: Call,
  prepared: PreparedChat,
  body: Uint8Array<ArrayBuffer>,
  now: number,
): Promise<HoldAnswer> {
  const { account } = key;
  const hash = sha256Hex(body);
  const request = () => holdRequest(prepared, call.job, key, hash, now, config.parameters);
  try {
    const slice = sliceOf(call.job);
    if (slice > 0) {
      const answer = await onSlice(env, account, slice, (object) => object.hold(request()));
      if (answer.type !== "elsewhere") return answer;
      if (call.told) throw new Error("a slice took too long to say that it cannot decide");
      call.job = freshJobId(now, 0);
    }
    const answer = await onAccount(env, account, (object) => object.hold({ ...request(), keyed: call.keyed }));
    learnSlices(account, answer.slices);
    return answer;
  } catch (error) {
    // It may stand, with its answer lost on the way here; nobody will use it.
    await releaseHold(env, account, call.job, "hold_unanswered");
    throw error;
  }
}

type RefusedHold = Exclude<HoldAnswer, { type: "held" }>;

/** A hold that was refused, with the headers that say so. */
function refuseHold(c: Context<HttpEnv>, job: JobId, result: RefusedHold, refusal: Refusal, now: number): Response {
  c.header("x-job-id", job);
  c.header("x-credits-refresh", refreshAt(now));
  for (const [name, value] of Object.entries(quotaHeaders(result.quota))) c.header(name, value);
  if (result.refusal.code === "rate_limited") c.header("retry-after", String(result.quota?.resetSeconds ?? 1));
  // OpenAI's SDK would repeat every 409, and a key that has been answered is answered for good.
  if (result.refusal.code === "already_completed") c.header("x-should-retry", "false");
  if (result.type === "soft_stop") {
    c.header("x-credits-held", formatCredits(0 as Millicredits));
    c.header("x-credits-remaining", formatCredits(result.stop.balance));
    const { x402 } = refusal.metadata as Offers;
    if (x402 !== null) c.header("payment-required", encodeHeader(x402));
  }
  return refused(c, refusal);
}

/** What a hold was refused for; a soft stop tells what is missing, when credits come, and how to pay (economics.md §7). */
function refusalOf(c: Context<HttpEnv>, config: Config, account: AccountId, result: RefusedHold, now: number): Refusal {
  const { refusal } = result;
  if (result.type !== "soft_stop") return refusal;
  const packages = config.solana === null ? [] : Object.values(PACKAGES).map(shownPackage);
  const call = { url: c.req.url, error: refusal.message };
  const x402 = paymentRequired(config, account, result.stop.shortfall, call, now);
  return softStopRefusal(refusal, result.stop, refreshAt(now), { packages, x402 });
}

/** The answer, or after 10 s of waiting for a stream its headers, with the rest to follow. */
async function answer(
  c: Context<HttpEnv>,
  config: Config,
  job: JobId,
  { request, model, choices }: PreparedChat,
  opened: Promise<Opened>,
  headers: Record<string, string>,
  queuedAt: number,
): Promise<Response> {
  const head = headOf(job, model.id, choices, queuedAt);
  const early = request.stream === true ? await within(LIMITS.headersAfterMs, opened) : await opened;
  if (early !== null) return final(c, early, head, queuedAt, headers);
  const position = () => placeOf(c.env, config, model.id, job);
  return c.body(waitingStream(opened, position, head), 200, { ...headers, ...STREAM_HEADERS });
}

function final(
  c: Context<HttpEnv>,
  opened: Opened,
  head: StreamHead,
  queuedAt: number,
  held: Record<string, string>,
): Response {
  const dispatched = opened.grant === null ? {} : dispatchedHeaders(queuedAt, opened.grant);
  for (const [name, value] of Object.entries({ ...held, ...dispatched })) c.header(name, value);
  if (opened.type === "refused") {
    if (opened.retryAfterSeconds !== null) c.header("retry-after", String(opened.retryAfterSeconds));
    return refused(c, opened.refusal);
  }
  const { body, headers } = opened.response;
  if (body !== null && headers.get(RELAY_RESULT) === "stream") {
    return c.body(relayedStream(body, head), 200, { ...STREAM_HEADERS });
  }
  return c.body(body ?? "", 200, { "content-type": "application/json" });
}
