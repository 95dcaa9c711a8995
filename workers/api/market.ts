import { createRoute, z } from "@hono/zod-openapi";
import { drawDay } from "../../core/auction/draw.ts";
import { refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { DAY_MS } from "../../core/time.ts";
import { type DrawRow, drawOf, drawsFrom } from "../../db/draws.ts";
import { receiptsOfJob } from "../../db/log.ts";
import { auctionRecord } from "../../protocol/auction.ts";
import { jobId } from "../../protocol/ids.ts";
import { queryCount, timeText } from "../../protocol/network/common.ts";
import { drawsPage, draws as drawsShape, marketEnd, market as marketShape } from "../../protocol/network/market.ts";
import { STREAM_HEADERS } from "../../protocol/openai/stream.ts";
import { readAuction } from "../../queues/segments.ts";
import { problem } from "../http.ts";
import { answers, byAnyone, named, newApi, problems } from "./app.ts";
import { marketNow } from "./market-feed.ts";
import { marketEvents, marketSocket } from "./market-live.ts";

const marketMessage = z
  .discriminatedUnion("type", [named("Market", marketShape), named("MarketEnd", marketEnd)])
  .openapi("MarketMessage");

const getMarket = createRoute({
  method: "get",
  path: "/market",
  tags: ["Market"],
  summary: "Queues, shares, asks and supply",
  description:
    "Every pool with what waits and runs in its lanes, their shares of what was served of late, the demand and the standing " +
    "asks of the public lane, and who serves. At most a second old.\n\n" +
    "**Server-sent events** (`Accept: text/event-stream`) and **WebSocket** (`Upgrade: websocket`): a `snapshot` now and " +
    "whenever something differs, once a second at most, for ten minutes; an `end` says why nothing follows. On a socket a " +
    'message with `ack` wants the answer `{"type":"ack","ack":…}`: who leaves ' +
    `${LIMITS.liveUnreadBytes / 1_024} KiB unanswered is sent away.`,
  ...byAnyone,
  responses: {
    101: { description: "The socket is open; each message is a MarketMessage." },
    200: {
      description: "The market as it is; or the events, the data of each of which is a MarketMessage.",
      content: {
        "application/json": { schema: named("Market", marketShape) },
        "text/event-stream": { schema: marketMessage },
      },
    },
    ...problems,
  },
});

const getAuction = createRoute({
  method: "get",
  path: "/market/auctions/{job}",
  tags: ["Market"],
  summary: "The record of a job's auction",
  description:
    "Who asked what for a job of the public lane, what demand made of it, whether a newcomer was drawn, and who got it: " +
    "everything that its outcome follows from, so that anybody can compute it again (docs/market.md). It names no consumer. " +
    "There once the job's receipt is in the log.",
  ...byAnyone,
  request: { params: z.object({ job: jobId }) },
  responses: { 200: answers(named("Auction", auctionRecord), "The record."), ...problems },
});

const listDraws = createRoute({
  method: "get",
  path: "/market/draws",
  tags: ["Market"],
  summary: "The secrets of newcomers' draws",
  description:
    "For each day the commitment that was published before it, and the secret once it is over: of the last " +
    `${LIMITS.drawDaysListed} days and of those to come.`,
  ...byAnyone,
  responses: { 200: answers(named("DrawsPage", drawsPage), "The days in their order."), ...problems },
});

const getDraws = createRoute({
  method: "get",
  path: "/market/draws/{day}",
  tags: ["Market"],
  summary: "The secret of one day's draws",
  description: "What was committed to before a day, and the secret once the day is over.",
  ...byAnyone,
  request: {
    params: z.object({ day: queryCount.meta({ description: "Days since 1970-01-01, UTC.", example: 20_782 }) }),
  },
  responses: { 200: answers(named("Draws", drawsShape), "The day."), ...problems },
});

export const market = newApi();

market.openapi(getMarket, async (c) => {
  const { signal } = c.req.raw;
  if (c.req.header("upgrade")?.toLowerCase() === "websocket") return marketSocket(c.env, signal);
  if (/\btext\/event-stream\b/.test(c.req.header("accept") ?? "")) {
    return c.body(marketEvents(c.env, signal), 200, { ...STREAM_HEADERS });
  }
  c.header("cache-control", "public, max-age=1");
  return c.json(await marketNow(c.env, Date.now()), 200);
});

market.openapi(getAuction, async (c) => {
  const { job } = c.req.valid("param");
  const [place] = await receiptsOfJob(c.env.DB, job);
  const record = place === undefined ? null : await readAuction(c.env.SEGMENTS, place);
  return record === null ? problem(c, refuse("auction_not_found")) : c.json(record, 200);
});

market.openapi(listDraws, async (c) => {
  const rows = await drawsFrom(c.env.DB, drawDay(Date.now()) - LIMITS.drawDaysListed);
  c.header("cache-control", "public, max-age=60");
  return c.json({ data: rows.map(shownDraws) }, 200);
});

market.openapi(getDraws, async (c) => {
  const row = await drawOf(c.env.DB, c.req.valid("param").day);
  if (row === null) {
    const detail = `Nothing is published of this day: commitments begin ${LIMITS.drawDaysAhead} days ahead.`;
    return problem(c, refuse("not_found", { detail, param: "day" }));
  }
  return c.json(shownDraws(row), 200);
});

function shownDraws({ day, commitment, published_at: at, secret }: DrawRow) {
  const begins = day * DAY_MS;
  return {
    day,
    date: timeText(begins).slice(0, 10),
    commitment,
    published_at: timeText(at),
    in_time: at < begins,
    secret,
  };
}
