import { createRoute, z } from "@hono/zod-openapi";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { DaemonId } from "../../core/ids.ts";
import { parseDaemonId } from "../../core/keys.ts";
import { LIMITS } from "../../core/limits.ts";
import { type DaemonRecord, drainDaemon, enrolDaemon, getDaemon, listDaemons } from "../../db/daemons.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import { daemonId } from "../../protocol/ids.ts";
import type { Answer } from "../../protocol/internal/answer.ts";
import {
  daemonPage,
  daemonQuery,
  daemon as daemonShape,
  enrolDaemon as enrolShape,
  wholeDaemon as wholeShape,
} from "../../protocol/network/daemons.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onAccount, onRelay } from "../objects.ts";
import { relaysOf } from "../regions.ts";
import { answers, byKey, byKeyWithJson, named, newApi, problems, takes } from "./app.ts";
import { shownDaemons, wholeDaemon } from "./shown-daemon.ts";

const daemon = named("Daemon", daemonShape);
const whole = named("WholeDaemon", wholeShape);

const postDaemon = createRoute({
  method: "post",
  path: "/daemons",
  tags: ["Supply"],
  summary: "Enrol a daemon",
  description:
    "Lets a daemon serve for this account: whoever proves this key at `/api/v1/connect` earns for it. The key is the id, so " +
    "the call can be sent again safely; with another name, payout or tier it changes those.",
  ...byKeyWithJson,
  request: { body: takes(enrolShape) },
  responses: {
    200: answers(whole, "The daemon, which was enrolled before."),
    201: answers(whole, "The newly enrolled daemon."),
    ...problems,
  },
});

const getDaemons = createRoute({
  method: "get",
  path: "/daemons",
  tags: ["Supply"],
  summary: "The account's daemons",
  description: "Every daemon that the account has enrolled, in order of id, and what state it is in.",
  ...byKey,
  request: { query: daemonQuery },
  responses: { 200: answers(daemonPage.extend({ data: z.array(daemon) }), "A page of daemons."), ...problems },
});

const getOneDaemon = createRoute({
  method: "get",
  path: "/daemons/{id}",
  tags: ["Supply"],
  summary: "One daemon",
  description:
    "A daemon of the account, what its relay knows of it while it is connected, and how it stands with each of its models.",
  ...byKey,
  request: { params: z.object({ id: daemonId }) },
  responses: { 200: answers(whole, "The daemon."), ...problems },
});

const postDrain = createRoute({
  method: "post",
  path: "/daemons/{id}/drain",
  tags: ["Supply"],
  summary: "Drain a daemon",
  description:
    "It gets no new jobs until it is resumed, also when it connects again; those that run go on to their end. Draining twice " +
    "changes nothing.",
  ...byKey,
  request: { params: z.object({ id: daemonId }) },
  responses: { 200: answers(whole, "The daemon, drained."), ...problems },
});

const postResume = createRoute({
  method: "post",
  path: "/daemons/{id}/resume",
  tags: ["Supply"],
  summary: "Resume a daemon",
  description: "It gets jobs again, for what it offers. Resuming one that is not drained changes nothing.",
  ...byKey,
  request: { params: z.object({ id: daemonId }) },
  responses: { 200: answers(whole, "The daemon, resumed."), ...problems },
});

export const daemons = newApi();

daemons.openapi(postDaemon, async (c) => {
  const refusal = await deadKey(c.env, c.var.key);
  if (refusal !== null) return problem(c, refusal);
  const { public_key: id, name, payout, tier } = c.req.valid("json");
  if (parseDaemonId(id) === null) return problem(c, refuse("weak_public_key", { param: "public_key" }));
  const now = Date.now();
  const { account } = c.var.key;
  const enrolment = await enrolDaemon(c.env.DB, { id, account, name, payout, tier, created_at: now });
  if (enrolment.type === "conflict") {
    const detail = "Another account has enrolled this key.";
    return problem(c, refuse("id_conflict", { detail, param: "public_key" }));
  }
  return c.json(await wholeDaemon(c.env, enrolment.daemon), enrolment.daemon.created_at === now ? 201 : 200);
});

daemons.openapi(getDaemons, async (c) => {
  const refusal = await deadKey(c.env, c.var.key);
  if (refusal !== null) return problem(c, refusal);
  const { cursor: after, limit = LIMITS.pageRows } = c.req.valid("query");
  const page = await listDaemons(c.env.DB, c.var.key.account, { limit, ...(after === undefined ? {} : { after }) });
  const next = page.length < limit ? null : (page.at(-1)?.id ?? null);
  return c.json({ data: await shownDaemons(c.env, page), next }, 200);
});

daemons.openapi(getOneDaemon, async (c) => {
  const refusal = await deadKey(c.env, c.var.key);
  if (refusal !== null) return problem(c, refusal);
  const record = await getDaemon(c.env.DB, c.req.valid("param").id);
  if (record?.account !== c.var.key.account) return problem(c, refuse("daemon_not_found"));
  return c.json(await wholeDaemon(c.env, record), 200);
});

daemons.openapi(postDrain, async (c) => {
  const steered = await steer(c.env, c.var, c.req.valid("param").id, true);
  return steered.ok ? c.json(await wholeDaemon(c.env, steered.value), 200) : problem(c, steered.refusal);
});

daemons.openapi(postResume, async (c) => {
  const steered = await steer(c.env, c.var, c.req.valid("param").id, false);
  return steered.ok ? c.json(await wholeDaemon(c.env, steered.value), 200) : problem(c, steered.refusal);
});

/** Drains or resumes a daemon: first in D1, so that it lasts, then at its relay, which reads it there. */
async function steer(
  env: Env,
  { key, requestId }: { readonly key: ApiKey; readonly requestId: string },
  id: DaemonId,
  drained: boolean,
): Promise<Answer<DaemonRecord>> {
  const refusal = await deadKey(env, key);
  if (refusal !== null) return { ok: false, refusal };
  const record = await drainDaemon(env.DB, id, key.account, { drained, now: Date.now() });
  if (record === null) return { ok: false, refusal: refuse("daemon_not_found") };
  await Promise.all(relaysOf(configOf(env), id).map((name) => onRelay(env, name, (relay) => relay.refresh(id))));
  const { account } = key;
  emit(drained ? "daemon_drained" : "daemon_resumed", { daemon: id, account, request_id: requestId });
  return { ok: true, value: record };
}

/** Why a key no longer counts, or null: D1 does not know keys, so the account is asked. */
export async function deadKey(env: Env, { account, secretHash }: ApiKey): Promise<Refusal | null> {
  const answer = await onAccount(env, account, (object) => object.check({ secretHash }, "supply"));
  return answer.ok ? null : answer.refusal;
}
