import { createRoute, z } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import type { DaemonId } from "../../core/ids.ts";
import type { Why } from "../../core/scheduler/passed-over.ts";
import { PASSED_OVER_REASONS } from "../../core/scheduler/passed-over-reasons.ts";
import { formatUsd } from "../../core/units.ts";
import { getDaemon } from "../../db/daemons.ts";
import { daemonId } from "../../protocol/ids.ts";
import { relayOf } from "../../protocol/internal/names.ts";
import { timeText } from "../../protocol/network/common.ts";
import { whyQuery, why as whyShape } from "../../protocol/network/why.ts";
import { type Config, configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onRelay, onScheduler } from "../objects.ts";
import { answers, byKey, named, newApi, problems } from "./app.ts";
import { deadKey } from "./daemons.ts";

const getWhy = createRoute({
  method: "get",
  path: "/daemons/{id}/why",
  tags: ["Supply"],
  summary: "Why a daemon is passed over",
  description:
    "For each model that the daemon offers, the reasons for which it was given no jobs in the last hour, with counts. Of the " +
    "decisions about jobs one in a quarter of a second is looked into, so counts are of a sample; they are kept in memory and " +
    "begin anew when a pool starts again.",
  ...byKey,
  request: { params: z.object({ id: daemonId }), query: whyQuery },
  responses: { 200: answers(named("Why", whyShape), "The reasons."), ...problems },
});

export const why = newApi();

why.openapi(getWhy, async (c) => {
  const refusal = await deadKey(c.env, c.var.key);
  if (refusal !== null) return problem(c, refusal);
  const { id } = c.req.valid("param");
  const record = await getDaemon(c.env.DB, id);
  if (record?.account !== c.var.key.account) return problem(c, refuse("daemon_not_found"));
  const config = configOf(c.env);
  const offers = await offersOf(c.env, config, id);
  const { model } = c.req.valid("query");
  const asked = model === undefined ? offers : config.regions.map(({ name }) => ({ region: name, models: [model] }));
  const pools = asked.flatMap(({ region, models }) =>
    models.map(async (each) => {
      const answer = await onScheduler(c.env, region, each, (scheduler) => scheduler.why(id));
      return { model: each, region, ...shownWhy(answer) };
    }),
  );
  const offered = [...new Set(offers.flatMap(({ models }) => models))];
  return c.json({ daemon: id, offered, pools: await Promise.all(pools) }, 200);
});

/** What a daemon offers in the regions where it is connected. */
async function offersOf(
  env: Env,
  { regions, shards }: Config,
  id: DaemonId,
): Promise<{ readonly region: string; readonly models: readonly string[] }[]> {
  return await Promise.all(
    regions.map(async ({ name }) => {
      const [daemon] = await onRelay(env, relayOf(name, id, shards), (relay) => relay.connected([id]));
      return { region: name, models: daemon?.models.map((model) => model.id) ?? [] };
    }),
  );
}

function shownWhy({ since, decisions, chosen, passedOver }: Why) {
  return {
    since: timeText(since),
    decisions,
    chosen,
    passed_over: passedOver.map(({ reason, count, over }) => ({
      reason,
      count,
      over: over && { least: formatUsd(over.least), most: formatUsd(over.most) },
      meaning: PASSED_OVER_REASONS[reason].title,
      fix: PASSED_OVER_REASONS[reason].fix,
    })),
  };
}
