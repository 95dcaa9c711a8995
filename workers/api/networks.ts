import { createRoute, z } from "@hono/zod-openapi";
import { type Refusal, refuse } from "../../core/errors.ts";
import { base62, type NetworkId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import { formatUsd } from "../../core/units.ts";
import { addNetwork, changeNetwork, closeNetwork, getNetwork, type NetworkRow, networksOf } from "../../db/networks.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { edgeMac } from "../../protocol/edge-mac.ts";
import { networkId } from "../../protocol/ids.ts";
import { idempotencyHeaders, timeText } from "../../protocol/network/common.ts";
import {
  changeNetwork as changeShape,
  createNetwork,
  networkList,
  privateNetwork,
} from "../../protocol/network/private-networks.ts";
import { pseudonymOf } from "../auth.ts";
import { configOf } from "../config.ts";
import { findModel } from "../gateway/catalog.ts";
import { problem } from "../http.ts";
import { asAdmin, asMember, checkKey } from "../network-access.ts";
import { answers, byKey, byKeyWithJson, named, newApi, problems, takes } from "./app.ts";

const ID_DOMAIN = "tollmill/network-id/v1";

const network = named("PrivateNetwork", privateNetwork);
const params = z.object({ id: networkId });
const tags = ["Private networks"];

const postNetwork = createRoute({
  method: "post",
  path: "/networks",
  tags,
  summary: "Make a private network",
  description:
    "Makes a network whose admin, and first member, is this account. With an `Idempotency-Key` (or `id`) the network's own id " +
    "follows from it, so the same call again finds the same network.",
  ...byKeyWithJson,
  request: { headers: idempotencyHeaders, body: takes(createNetwork) },
  responses: {
    200: answers(network, "The network, which the same call has made before."),
    201: answers(network, "The new network."),
    ...problems,
  },
});

const getNetworks = createRoute({
  method: "get",
  path: "/networks",
  tags,
  summary: "The account's private networks",
  description: "Those that the account is in, in the order in which it came in. Others learn nothing of them.",
  ...byKey,
  responses: { 200: answers(networkList.extend({ data: z.array(network) }), "The networks."), ...problems },
});

const getOneNetwork = createRoute({
  method: "get",
  path: "/networks/{id}",
  tags,
  summary: "One private network",
  description:
    "Its name and its rates, for members. One that the account is not in is answered as one that is not there.",
  ...byKey,
  request: { params },
  responses: { 200: answers(network, "The network."), ...problems },
});

const patchNetwork = createRoute({
  method: "patch",
  path: "/networks/{id}",
  tags,
  summary: "Change its name or rates",
  description:
    "For the admin. A new rate counts for jobs that begin five seconds later at the latest; a job's rate is fixed when it is " +
    "reserved. The same call again changes nothing.",
  ...byKeyWithJson,
  request: { params, body: takes(changeShape) },
  responses: { 200: answers(network, "The network as it is now."), ...problems },
});

const deleteNetwork = createRoute({
  method: "delete",
  path: "/networks/{id}",
  tags,
  summary: "Close a private network",
  description:
    "For the admin, and for good: every membership ends, and no job is begun there after five seconds at the latest. Jobs that " +
    "wait or run end as they would. Closing twice changes nothing.",
  ...byKey,
  request: { params },
  responses: { 200: answers(network, "The closed network."), ...problems },
});

export const networks = newApi();

networks.openapi(postNetwork, async (c) => {
  const may = await checkKey(c.env, c.var.key, "manage");
  if (!may.ok) return problem(c, may.refusal);
  const { account } = c.var.key;
  const config = configOf(c.env);
  const { name, rates = {}, id: bodyId } = c.req.valid("json");
  const call = bodyId ?? c.req.valid("header")["idempotency-key"];
  const key = `${account}\n${call ?? base62(crypto.getRandomValues(new Uint8Array(16)))}`;
  const id = base62(edgeMac(config.edgeKey, ID_DOMAIN, key).subarray(0, 16)) as NetworkId;
  const made = canonicalText({ name, rates });
  const before = await getNetwork(c.env.DB, id);
  if (before === null) {
    const unknown = await unknownModel(c.env, rates);
    if (unknown !== null) return problem(c, unknown);
    const row = { id, account, name, rates, made, created_at: Date.now() };
    if (!(await addNetwork(c.env.DB, row, pseudonymOf(account, config)))) return problem(c, refuse("network_limit"));
    emit("network_made", { account, private_network: id, request_id: c.var.requestId });
  }
  const stands = before ?? (await getNetwork(c.env.DB, id));
  if (stands?.made !== made) return problem(c, refuse("id_conflict", { param: "id" }));
  return c.json(shownNetwork(stands, account), before === null ? 201 : 200);
});

networks.openapi(getNetworks, async (c) => {
  const may = await checkKey(c.env, c.var.key, "read");
  if (!may.ok) return problem(c, may.refusal);
  const { account } = c.var.key;
  const rows = await networksOf(c.env.DB, account);
  return c.json({ data: rows.map((row) => shownNetwork(row, account)) }, 200);
});

networks.openapi(getOneNetwork, async (c) => {
  const found = await asMember(c.env, c.var.key, c.req.valid("param").id, "read");
  return found.ok ? c.json(shownNetwork(found.value, c.var.key.account), 200) : problem(c, found.refusal);
});

networks.openapi(patchNetwork, async (c) => {
  const found = await asAdmin(c.env, c.var.key, c.req.valid("param").id);
  if (!found.ok) return problem(c, found.refusal);
  const { name, rates = {} } = c.req.valid("json");
  const unknown = await unknownModel(c.env, rates);
  if (unknown !== null) return problem(c, unknown);
  const changed = await changeNetwork(c.env.DB, found.value.id, { rates, ...(name === undefined ? {} : { name }) });
  if (changed !== null) return c.json(shownNetwork(changed, c.var.key.account), 200);
  const detail = `A private network has rates for at most ${LIMITS.networkRates} models.`;
  return problem(c, refuse("invalid_request", { detail, param: "rates" }));
});

networks.openapi(deleteNetwork, async (c) => {
  const may = await checkKey(c.env, c.var.key, "manage");
  if (!may.ok) return problem(c, may.refusal);
  const { account } = c.var.key;
  const { id } = c.req.valid("param");
  // Closing ends the admin's membership too, so a repeated call is known by whose the network was.
  const own = await getNetwork(c.env.DB, id);
  if (own?.account !== account) {
    const found = await asAdmin(c.env, c.var.key, id);
    return problem(c, found.ok ? refuse("network_not_found") : found.refusal);
  }
  await closeNetwork(c.env.DB, id, Date.now());
  const closed = (await getNetwork(c.env.DB, id)) ?? own;
  emit("network_closed", { account, private_network: id, request_id: c.var.requestId });
  return c.json(shownNetwork(closed, account), 200);
});

/** Why a rate cannot be set: the catalog does not know its model. Null where all are known, or taken out. */
async function unknownModel(env: Env, rates: Readonly<Record<string, object | null>>): Promise<Refusal | null> {
  for (const [model, rate] of Object.entries(rates)) {
    if (rate === null || (await findModel(env, model, Date.now())) !== undefined) continue;
    return refuse("model_not_found", { detail: `The model ${model} does not exist.`, param: `rates.${model}` });
  }
  return null;
}

/** A network as its members see it. */
export function shownNetwork({ id, account, name, rates, created_at, closed_at }: NetworkRow, asks: string) {
  const shown = Object.entries(rates).map(
    ([model, { prompt, completion }]) =>
      [model, { prompt: formatUsd(prompt), completion: formatUsd(completion) }] as const,
  );
  return {
    id,
    name,
    admin: account === asks,
    rates: Object.fromEntries(shown),
    created_at: timeText(created_at),
    closed_at: closed_at === null ? null : timeText(closed_at),
  };
}
