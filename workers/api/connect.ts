import { createRoute } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import { relayStub } from "../../durable-objects/shared/places.ts";
import { SUBPROTOCOL } from "../../protocol/daemon/messages.ts";
import { relayOf } from "../../protocol/internal/names.ts";
import { connectQuery } from "../../protocol/network/daemons.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { nearestRegion } from "../regions.ts";
import { byAnyone, newApi, problems } from "./app.ts";

const getConnect = createRoute({
  method: "get",
  path: "/connect",
  tags: ["Supply"],
  summary: "Connect a daemon",
  description:
    `A WebSocket of the subprotocol \`${SUBPROTOCOL}\`. The daemon proves its enrolled key there by signing a challenge, so ` +
    "no API key is sent. See docs/protocol.md for the messages.",
  ...byAnyone,
  request: { query: connectQuery },
  responses: { 101: { description: "The socket is open." }, ...problems },
});

export const connect = newApi();

connect.openapi(getConnect, (c) => {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    return problem(c, refuse("upgrade_required", { detail: `This path is a WebSocket of ${SUBPROTOCOL}.` }));
  }
  const config = configOf(c.env);
  const name = relayOf(nearestRegion(config, c.req.raw), c.req.valid("query").daemon, config.shards);
  const request = new Request(c.req.raw);
  // Clients may write the header in any case; the relay knows one.
  request.headers.set("upgrade", "websocket");
  return relayStub(c.env, name).fetch(request);
});
