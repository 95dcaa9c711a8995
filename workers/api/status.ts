import { createRoute, type z } from "@hono/zod-openapi";
import { listModels } from "../../db/catalog.ts";
import { countDeadLetters } from "../../db/dead-letters.ts";
import { logSize } from "../../db/log.ts";
import { version } from "../../package.json";
import { status as statusShape } from "../../protocol/network/status.ts";
import { configOf } from "../config.ts";
import { supplyOf } from "../regions.ts";
import { answers, byAnyone, named, newApi, problems } from "./app.ts";

/** However many ask, the objects and D1 are asked once a second by each isolate. */
const FRESH_MS = 1_000;

type Status = z.output<typeof statusShape>;

const getStatus = createRoute({
  method: "get",
  path: "/status",
  tags: ["Network"],
  summary: "How the network is",
  description:
    "The models with their supply, the size of the log, and what waits for an operator. At most a second old.",
  ...byAnyone,
  responses: { 200: answers(named("Status", statusShape), "The status."), ...problems },
});

export const status = newApi();

let last: { readonly value: Status; readonly at: number; readonly env: Env } | null = null;

status.openapi(getStatus, async (c) => {
  const now = Date.now();
  if (last === null || last.env !== c.env || now - last.at >= FRESH_MS) {
    last = { value: await readStatus(c.env), at: now, env: c.env };
  }
  c.header("cache-control", "public, max-age=1");
  return c.json(last.value, 200);
});

async function readStatus(env: Env): Promise<Status> {
  const config = configOf(env);
  const [models, size, count] = await Promise.all([listModels(env.DB), logSize(env.DB), countDeadLetters(env.DB)]);
  const supplies = await Promise.all(
    models.map(async ({ id }) => {
      const { daemons, slots, free, waiting } = await supplyOf(env, config, id);
      return { id, daemons, slots, free, waiting };
    }),
  );
  return {
    network: config.network,
    version,
    region: config.region,
    models: supplies,
    log: { size },
    dead_letters: { count },
  };
}
