/** A coarse bound on what one address may ask, before a key is read or an object is called. */

import type { MiddlewareHandler } from "hono";
import { refuse } from "../core/errors.ts";
import { type HttpEnv, refused } from "./http.ts";

/** The period of the binding in wrangler.toml. */
const PERIOD_SECONDS = 10;

/** Refuses an address that floods this location. Where the platform names no address, as in tests, nobody is bound. */
export const boundAddress: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const address = c.req.header("cf-connecting-ip");
  if (address === undefined || (await c.env.ADDRESS_LIMIT.limit({ key: address })).success) return await next();
  c.header("retry-after", String(PERIOD_SECONDS));
  return refused(c, refuse("rate_limited", { detail: "This address sends too many requests." }));
};
