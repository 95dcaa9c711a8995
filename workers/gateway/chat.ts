/** `POST /v1/chat/completions` (interfaces.md §1; architecture.md, One job). */

import type { Context } from "hono";
import { refuse } from "../../core/errors.ts";
import type { JobId } from "../../core/ids.ts";
import { LANE_TABLE } from "../../core/lanes.ts";
import { HOLD_GRACE_MS, HOLD_SLA_MS, LIMITS } from "../../core/limits.ts";
import { bytesToHex, utf8ToBytes } from "../../core/receipt/canonical.ts";
import { formatCredits, type Millicredits } from "../../core/units.ts";
import { sha256Hex } from "../../durable-objects/shared/hash.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import type { HeldTerms, HoldAnswer } from "../../protocol/internal/account.ts";
import { RELAY_RESULT } from "../../protocol/internal/job.ts";
import { engineRequest } from "../../protocol/openai/chat.ts";
import { STREAM_HEADERS, type StreamHead } from "../../protocol/openai/stream.ts";
import { authenticate, pseudonymOf } from "../auth.ts";
import { readJsonText } from "../body.ts";
import { type Config, configOf } from "../config.ts";
import { type HttpEnv, refused } from "../http.ts";
import { onAccount, onScheduler } from "../objects.ts";
import { findModel } from "./catalog.ts";
import { dispatchedHeaders, heldHeaders, quotaHeaders, refreshAt } from "./headers.ts";
import { jobIdFor } from "./idempotency.ts";
import { type JobToOpen, type Opened, openJob, releaseHold } from "./open-job.ts";
import { type PreparedChat, parseChat, prepareChat } from "./prepare.ts";
import { relayedStream, waitingStream } from "./stream-body.ts";

/** Answers a chat completion: holds its worst case, opens it, and passes the relay's answer on. */
export async function chatCompletions(c: Context<HttpEnv>): Promise<Response> {
  const config = configOf(c.env);
  const key = authenticate(c.req.header("authorization"), config);
  if (!key.ok) return refused(c, key.refusal);
  const text = await readJsonText(c.req.raw, LIMITS.requestBodyBytes);
  if (!text.ok) return refused(c, text.refusal);
  const request = parseChat(text.value);
  if (!request.ok) return refused(c, request.refusal);
  const now = Date.now();
  const model = await findModel(c.env, request.value.model, now);
  if (model === undefined) return refused(c, refuse("model_not_found", { param: "model" }));
  const prepared = prepareChat(request.value, model, config.parameters);
  if (!prepared.ok) return refused(c, prepared.refusal);
  const id = await jobIdFor(key.value.account, c.req.header("idempotency-key"), now);
  if (!id.ok) return refused(c, id.refusal);

  const body = new Uint8Array(utf8ToBytes(text.value));
  const call = { job: id.value.job, keyed: id.value.keyed && c.var.requestId };
  const holding = hold(c.env, config, key.value, call, prepared.value, body, now);
  const opening = holding.then(async (held): Promise<Opened> => {
    if (held.type !== "held") return { type: "refused", refusal: held.refusal, retryAfterSeconds: null, grant: null };
    const job = jobToOpen(config, key.value, call.job, prepared.value, held, body, now);
    return await openJob(c.env, config, job, c.req.raw.signal);
  });
  // A consumer that leaves ends this request at once; the hold is seen to nevertheless, until somebody else has it.
  c.executionCtx.waitUntil(opening.catch(() => {}));
  const held = await holding;
  if (held.type !== "held") return refuseHold(c, call.job, held, now);
  const headers = { ...heldHeaders(call.job, held, now), ...quotaHeaders(held.quota) };
  return await answer(c, config, call.job, prepared.value, opening, headers, now);
}

async function hold(
  env: Env,
  config: Config,
  key: ApiKey,
  { job, keyed }: { job: JobId; keyed: string | false },
  prepared: PreparedChat,
  body: Uint8Array<ArrayBuffer>,
  now: number,
): Promise<HoldAnswer> {
  const { lane, model, rate, promptBound, completion, choices } = prepared;
  const request = {
    job,
    keyed,
    credentials: { secretHash: key.secretHash },
    lane,
    model: model.id,
    body: sha256Hex(body),
    rate,
    promptBound,
    completion,
    completionDefault: model.completion_default,
    choices,
    expiresAt: now + config.parameters[LANE_TABLE[lane].queueLimit] + HOLD_SLA_MS + HOLD_GRACE_MS,
  };
  try {
    return await onAccount(env, key.account, (account) => account.hold(request));
  } catch (error) {
    // It may stand, with its answer lost on the way here; nobody will use it.
    await releaseHold(env, key.account, job, "hold_unanswered");
    throw error;
  }
}

/** A hold that was refused; a soft stop tells what is missing and when credits come (economics.md §7). */
function refuseHold(
  c: Context<HttpEnv>,
  job: JobId,
  result: Exclude<HoldAnswer, { type: "held" }>,
  now: number,
): Response {
  c.header("x-job-id", job);
  c.header("x-credits-refresh", refreshAt(now));
  for (const [name, value] of Object.entries(quotaHeaders(result.quota))) c.header(name, value);
  if (result.refusal.code === "rate_limited") c.header("retry-after", String(result.quota?.resetSeconds ?? 1));
  // OpenAI's SDK would repeat every 409, and a key that has been answered is answered for good.
  if (result.refusal.code === "already_completed") c.header("x-should-retry", "false");
  if (result.type === "refused") return refused(c, result.refusal);
  const { balance, required, shortfall } = result.stop;
  c.header("x-credits-held", formatCredits(0 as Millicredits));
  c.header("x-credits-remaining", formatCredits(balance));
  const metadata = {
    balance: formatCredits(balance),
    required: formatCredits(required),
    shortfall: formatCredits(shortfall),
    refresh_at: refreshAt(now),
    packages: [],
    x402: null,
  };
  return refused(c, { ...result.refusal, metadata });
}

function jobToOpen(
  config: Config,
  { account }: ApiKey,
  job: JobId,
  prepared: PreparedChat,
  held: HeldTerms,
  body: Uint8Array<ArrayBuffer>,
  now: number,
): JobToOpen {
  const { request, model, lane, rate, needs, choices } = prepared;
  const salt = crypto.getRandomValues(new Uint8Array(16));
  return {
    account,
    // Who allows no fallbacks wants the first daemon or none.
    moves: request.provider?.allow_fallbacks === false ? 0 : config.parameters.movesPerJob,
    acquire: {
      job,
      account,
      lane,
      model: model.id,
      needs: { ...needs, context: Math.min(held.promptBound + held.completionCap, model.context_length) },
      rate,
      estimate: { prompt: held.promptBound, completion: held.completionCap * choices },
      unbacked: held.unbacked,
      holdExpiresAt: held.expiresAt,
      queuedAt: now,
      waitUntil: now + config.parameters[LANE_TABLE[lane].queueLimit],
    },
    relay: {
      job,
      account,
      consumer: pseudonymOf(account, config),
      lane,
      model: model.id,
      hold: held,
      queuedAt: now,
      minBytesPerTokenHundredths: model.min_bytes_per_token_hundredths,
      salt: bytesToHex(salt),
      requestDigest: sha256Hex(salt, body),
      request: engineRequest(request, model.id, held.completionCap),
      choices,
      stream: request.stream === true,
      includeUsage: request.stream_options?.include_usage === true,
    },
  };
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
  const head = { id: `chatcmpl-${job}`, created: Math.floor(queuedAt / 1_000), model: model.id, choices };
  const early = request.stream === true ? await within(LIMITS.headersAfterMs, opened) : await opened;
  if (early !== null) return final(c, early, head, queuedAt, headers);
  const position = () => onScheduler(c.env, config, model.id, (scheduler) => scheduler.job(job));
  return c.body(waitingStream(opened, position, head), 200, { ...headers, ...STREAM_HEADERS });
}

/** What a promise gives, or null when that takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | null> {
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), ms);
  const result = await Promise.race([promise, late.promise]);
  clearTimeout(timer);
  return result;
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
