import { createRoute, z } from "@hono/zod-openapi";
import { epochOf } from "../../core/allotment/epochs.ts";
import { refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { epochRow } from "../../db/epochs.ts";
import { queryCount } from "../../protocol/network/common.ts";
import { dailyEpoch, dailyEpochs, shownEpoch } from "../../protocol/network/epochs.ts";
import { estimateRow } from "../cron/close-day.ts";
import { freeTreasuryOf } from "../cron/free-treasury.ts";
import { problem } from "../http.ts";
import { answers, byAnyone, named, newApi, problems } from "./app.ts";

type Daily = z.output<typeof dailyEpochs>;

const epochShape = named("DailyEpoch", dailyEpoch);

const getDaily = createRoute({
  method: "get",
  path: "/epochs/daily",
  tags: ["Network"],
  summary: "Today's allotment rate, and tomorrow's",
  description:
    "The public row that today's allotments follow from, with every input and output, and the row that tomorrow would have " +
    "if it were made now, each explained input by input. At most five minutes old.",
  ...byAnyone,
  responses: { 200: answers(named("DailyEpochs", dailyEpochs), "The rows."), ...problems },
});

const getDailyEpoch = createRoute({
  method: "get",
  path: "/epochs/daily/{epoch}",
  tags: ["Network"],
  summary: "The allotment rate of one epoch",
  description: "The row of an epoch as it was made, which never changes. An epoch without one had no allotments.",
  ...byAnyone,
  request: {
    params: z.object({ epoch: queryCount.meta({ description: "Days since 1970-01-01.", example: 20_782 }) }),
  },
  responses: { 200: answers(epochShape, "The row."), ...problems },
});

export const epochs = newApi();

let last: { readonly value: Daily; readonly at: number; readonly env: Env } | null = null;

epochs.openapi(getDaily, async (c) => {
  const now = Date.now();
  const isFresh = last !== null && last.env === c.env && now - last.at < LIMITS.epochsFreshMs;
  // A day's first caller is told of that day.
  if (last === null || !isFresh || epochOf(last.at) !== epochOf(now)) {
    last = { value: await readDaily(c.env, now), at: now, env: c.env };
  }
  c.header("cache-control", "public, max-age=60");
  return c.json(last.value, 200);
});

epochs.openapi(getDailyEpoch, async (c) => {
  const row = await epochRow(c.env.DB, c.req.valid("param").epoch);
  if (row === null) {
    const detail = "This epoch has no row: it is not made yet, or nobody had an allotment. Rows are made at 23:30 UTC.";
    return problem(c, refuse("not_found", { detail, param: "epoch" }));
  }
  return c.json(shownEpoch(row), 200);
});

async function readDaily(env: Env, now: number): Promise<Daily> {
  const today = epochOf(now);
  const [current, made] = await Promise.all([epochRow(env.DB, today), epochRow(env.DB, today + 1)]);
  const next = made ?? (await estimateRow(env, today + 1, freeTreasuryOf(env, now)));
  return {
    current: current && shownEpoch(current),
    next: shownEpoch(next),
    next_is_estimate: made === null,
  };
}
