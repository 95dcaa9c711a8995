import { createRoute, z } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { retrying } from "../../durable-objects/shared/retry.ts";
import { WATCH_HEADER, type WatchRefusal, type WatchRequest } from "../../protocol/internal/watch.ts";
import {
  LIVE_SUBPROTOCOL,
  liveChange,
  liveEnd,
  liveId,
  liveSnapshot,
  parseMark,
} from "../../protocol/network/live-balance.ts";
import { STREAM_HEADERS } from "../../protocol/openai/stream.ts";
import { problem } from "../http.ts";
import { bySocketKey, named, newApi, offeredProtocols, problems } from "./app.ts";
import { liveEvents } from "./live-events.ts";

const liveMessage = z
  .discriminatedUnion("type", [
    named("BalanceSnapshot", liveSnapshot),
    named("BalanceChange", liveChange),
    named("BalanceEnd", liveEnd),
  ])
  .openapi("BalanceMessage");

const getLiveBalance = createRoute({
  method: "get",
  path: "/balance/live",
  tags: ["Account"],
  summary: "The balance as it changes",
  description:
    "First the whole balance as a `snapshot`, then a `change` for what happened in each tenth of a second, with the entries " +
    "that caused it. `id` names the state that a message leads to: who comes back with the last one (`Last-Event-ID`, or " +
    "`after` in the address) gets a snapshot that lists what happened meanwhile, so that nothing is missed. An `end` says why " +
    "nothing follows; a key that is revoked or expires ends its connections at once.\n\n" +
    `**WebSocket** (\`Upgrade: websocket\`): each message is JSON text. The subprotocol is \`${LIVE_SUBPROTOCOL}\`; a browser, ` +
    `which can set no headers, offers its key beside it: \`new WebSocket(url, ["${LIVE_SUBPROTOCOL}", "tm_…"])\`. A message ` +
    'with `ack` wants the answer `{"type":"ack","ack":…}`: who leaves ' +
    `${LIMITS.liveUnreadBytes / 1_024} KiB unacknowledged is sent away. The text \`ping\` is answered with \`pong\`.\n\n` +
    "**Server-sent events** (`Accept: text/event-stream`): the same messages as events of their type, for ten minutes. " +
    `An account has at most ${LIMITS.watchers} connections of both kinds. The key needs the scope \`read\`.`,
  ...bySocketKey,
  request: {
    headers: z.object({ "last-event-id": liveId.optional() }),
    query: z.object({ after: liveId.optional() }),
  },
  responses: {
    101: { description: `The socket is open; each message is a BalanceMessage.` },
    200: {
      description: "The events; the data of each is a BalanceMessage.",
      content: { "text/event-stream": { schema: liveMessage } },
    },
    ...problems,
  },
});

export const liveBalance = newApi();

liveBalance.openapi(getLiveBalance, async (c) => {
  const { account, secretHash } = c.var.key;
  const isSocket = c.req.header("upgrade")?.toLowerCase() === "websocket";
  const isStream = /\btext\/event-stream\b/.test(c.req.header("accept") ?? "");
  if (!isSocket && !isStream) {
    const detail = "This path is a WebSocket, or an event stream for `Accept: text/event-stream`.";
    return problem(c, refuse("upgrade_required", { detail }));
  }
  const offered = isSocket ? offeredProtocols(c.req.header("sec-websocket-protocol")) : [];
  if (offered.length > 0 && !offered.includes(LIVE_SUBPROTOCOL)) {
    const detail = `The subprotocol is ${LIVE_SUBPROTOCOL}.`;
    return problem(c, refuse("invalid_request", { detail, param: "Sec-WebSocket-Protocol" }));
  }
  const last = c.req.valid("header")["last-event-id"] ?? c.req.valid("query").after;
  const watch: WatchRequest = { credentials: { secretHash }, after: last === undefined ? null : parseMark(last) };
  // The key goes no further than here, and only the subprotocol is ever said back.
  const headers = {
    upgrade: "websocket",
    [WATCH_HEADER]: JSON.stringify(watch),
    ...(offered.length === 0 ? {} : { "sec-websocket-protocol": LIVE_SUBPROTOCOL }),
  };
  const response = await retrying(() => c.env.ACCOUNT.getByName(account).fetch("https://account/live", { headers }));
  const { webSocket } = response;
  if (webSocket === null) return problem(c, (await response.json<WatchRefusal>()).refusal);
  if (isSocket) return response;
  const events = liveEvents(webSocket, c.req.raw.signal, LIMITS.liveStreamMs);
  return c.body(events, 200, { ...STREAM_HEADERS });
});
