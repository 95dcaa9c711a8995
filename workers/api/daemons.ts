import { createRoute, z } from "@hono/zod-openapi";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { DaemonId } from "../../core/ids.ts";
import { parseDaemonId } from "../../core/keys.ts";
import { LIMITS } from "../../core/limits.ts";
import { type DaemonRecord, enrolDaemon, getDaemon, listDaemons } from "../../db/daemons.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import { daemonId } from "../../protocol/ids.ts";
import { relayOf } from "../../protocol/internal/names.ts";
import { timeText } from "../../protocol/network/common.ts";
import {
  daemonPage,
  daemonQuery,
  daemon as daemonShape,
  enrolDaemon as enrolShape,
} from "../../protocol/network/daemons.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onAccount, onRelay } from "../objects.ts";
import { answers, byKey, byKeyWithJson, named, newApi, problems, takes } from "./app.ts";

const daemon = named("Daemon", daemonShape);

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
    200: answers(daemon, "The daemon, which was enrolled before."),
    201: answers(daemon, "The newly enrolled daemon."),
    ...problems,
  },
});

const getDaemons = createRoute({
  method: "get",
  path: "/daemons",
  tags: ["Supply"],
  summary: "The account's daemons",
  description: "Every daemon that the account has enrolled, in order of id, and whether it is connected.",
  ...byKey,
  request: { query: daemonQuery },
  responses: { 200: answers(daemonPage.extend({ data: z.array(daemon) }), "A page of daemons."), ...problems },
});

const getOneDaemon = createRoute({
  method: "get",
  path: "/daemons/{id}",
  tags: ["Supply"],
  summary: "One daemon",
  description: "A daemon of the account.",
  ...byKey,
  request: { params: z.object({ id: daemonId }) },
  responses: { 200: answers(daemon, "The daemon."), ...problems },
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
  const [shown] = await withConnection(c.env, [enrolment.daemon]);
  return c.json(shown as ShownDaemon, enrolment.daemon.created_at === now ? 201 : 200);
});

daemons.openapi(getDaemons, async (c) => {
  const refusal = await deadKey(c.env, c.var.key);
  if (refusal !== null) return problem(c, refusal);
  const { cursor: after, limit = LIMITS.pageRows } = c.req.valid("query");
  const page = await listDaemons(c.env.DB, c.var.key.account, { limit, ...(after === undefined ? {} : { after }) });
  const next = page.length < limit ? null : (page.at(-1)?.id ?? null);
  return c.json({ data: await withConnection(c.env, page), next }, 200);
});

daemons.openapi(getOneDaemon, async (c) => {
  const refusal = await deadKey(c.env, c.var.key);
  if (refusal !== null) return problem(c, refusal);
  const record = await getDaemon(c.env.DB, c.req.valid("param").id);
  if (record?.account !== c.var.key.account) return problem(c, refuse("daemon_not_found"));
  const [shown] = await withConnection(c.env, [record]);
  return c.json(shown as ShownDaemon, 200);
});

/** Why a key no longer counts, or null: D1 does not know keys, so the account is asked. */
async function deadKey(env: Env, { account, secretHash }: ApiKey): Promise<Refusal | null> {
  const answer = await onAccount(env, account, (object) => object.check({ secretHash }, "supply"));
  return answer.ok ? null : answer.refusal;
}

type ShownDaemon = z.output<typeof daemonShape>;

/** Adds whether each is connected; asks only the relays that these daemons belong to. */
async function withConnection(env: Env, records: readonly DaemonRecord[]): Promise<ShownDaemon[]> {
  const { regions, shards } = configOf(env);
  const relays = new Set(regions.flatMap(({ name }) => records.map(({ id }) => relayOf(name, id, shards))));
  const connected = await Promise.all([...relays].map((name) => onRelay(env, name, (relay) => relay.connected())));
  const ids = new Set<DaemonId>(connected.flat());
  return records.map(({ created_at, ...record }) => ({
    ...record,
    created_at: timeText(created_at),
    connected: ids.has(record.id),
  }));
}
