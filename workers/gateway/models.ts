/** `GET /v1/models`: OpenAI's list, with what a model costs, which lanes it has and who serves it (interfaces.md §1). */

import type { Context } from "hono";
import { refuse } from "../../core/errors.ts";
import type { Rate } from "../../core/pricing.ts";
import { type CatalogModel, rateOf } from "../../protocol/catalog.ts";
import type { Supply } from "../../protocol/internal/pool.ts";
import { type Config, configOf } from "../config.ts";
import { type HttpEnv, refused } from "../http.ts";
import { supplyOf } from "../regions.ts";
import { catalogOf, findModel } from "./catalog.ts";

/** However many ask, each pool is asked once a second by each isolate. */
const FRESH_MS = 1_000;

/** Parameters that need nothing of an engine. */
const ALWAYS = ["max_completion_tokens", "max_tokens", "stream", "stream_options", "user"];
/** Features whose parameter has another name. */
const PARAMETER: Readonly<Record<string, string>> = {
  image_input: "messages",
  json_object: "response_format",
  json_schema: "response_format",
};

const supplies = new Map<string, { readonly supply: Supply; readonly until: number }>();

export async function listModelObjects(c: Context<HttpEnv>): Promise<Response> {
  const models = await catalogOf(c.env, Date.now());
  const config = configOf(c.env);
  const data = await Promise.all([...models.values()].map((model) => modelObject(c.env, config, model)));
  return c.json({ object: "list", data });
}

export async function getModelObject(c: Context<HttpEnv>): Promise<Response> {
  const id = decoded(c.req.path.replace(/^\/v1\/models\//, ""));
  const model = id === null ? undefined : await findModel(c.env, id, Date.now());
  if (model === undefined) return refused(c, refuse("model_not_found", { param: "model" }));
  return c.json(await modelObject(c.env, configOf(c.env), model));
}

/** A percent-encoded text, or null when what it encodes is not UTF-8. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

async function modelObject(env: Env, config: Config, model: CatalogModel): Promise<Record<string, unknown>> {
  const rate = rateOf(model, config.parameters);
  const supply = await freshSupply(env, config, model.id);
  return {
    id: model.id,
    object: "model",
    created: Math.floor(model.created / 1_000),
    owned_by: "tollmill",
    name: model.name,
    context_length: model.context_length,
    quantization: model.quantization,
    pricing: { ...pricePerToken(rate), request: "0" },
    lanes: model.lanes,
    supply: {
      daemons: supply.daemons,
      slots: supply.slots,
      free: supply.free,
      tokens_per_second: Math.round(supply.tokensPerSecond * 10) / 10,
    },
    supported_parameters: [
      ...new Set([...ALWAYS, ...supply.features.map((feature) => PARAMETER[feature] ?? feature)]),
    ].toSorted(),
  };
}

async function freshSupply(env: Env, config: Config, model: string): Promise<Supply> {
  const now = Date.now();
  const known = supplies.get(model);
  if (known !== undefined && now < known.until) return known.supply;
  const supply = await supplyOf(env, config, model);
  supplies.set(model, { supply, until: now + FRESH_MS });
  return supply;
}

/** USD per token as decimal strings: nanoUSD · 1e-9 / per, exact to 18 places. */
function pricePerToken(rate: Rate): { prompt: string; completion: string } {
  return { prompt: decimal(rate.prompt, rate.per), completion: decimal(rate.completion, rate.per) };
}

function decimal(nanoUsd: number, per: number): string {
  const places = 18;
  const scaled = (BigInt(nanoUsd) * 10n ** BigInt(places - 9)) / BigInt(per);
  const digits = scaled.toString().padStart(places + 1, "0");
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`.replace(/\.?0+$/, "");
}
