/** The edge's HTTP face: OpenAI's dialect under /v1, the network's own under /api/v1, and their reference. */

import { Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { methodNotAllowed } from "hono/method-not-allowed";
import { type Refusal, refuse } from "../core/errors.ts";
import { base62 } from "../core/ids.ts";
import { emitError } from "../durable-objects/shared/events.ts";
import { boundAddress } from "./address-limit.ts";
import { api } from "./api/index.ts";
import { openApiDocument } from "./api/openapi.ts";
import { errorsPage, referencePage } from "./docs.ts";
import { gateway } from "./gateway/index.ts";
import { type HttpEnv, refused } from "./http.ts";

/** Browsers may ask for a day without asking again whether they may. */
const PREFLIGHT_SECONDS = 86_400;
/** Headers of the answers that a program in a browser may read. */
const EXPOSED = [
  "x-request-id",
  "x-job-id",
  "x-credits-held",
  "x-credits-remaining",
  "x-credits-refresh",
  "x-queue-ms",
  "x-should-retry",
  "payment-required",
  "payment-response",
  "retry-after",
  "ratelimit",
  "ratelimit-policy",
].join(",");

export const app = new Hono<HttpEnv>();

// Before the answer is made: a header that is added to a finished answer copies it.
app.use(async (c, next) => {
  c.set("requestId", `req_${base62(crypto.getRandomValues(new Uint8Array(16)))}`);
  c.header("x-request-id", c.var.requestId);
  c.header("x-content-type-options", "nosniff");
  await next();
  // An answer that another part made, as a socket's, knows nothing of them.
  if (!c.res.headers.has("x-request-id")) c.header("x-request-id", c.var.requestId);
});

app.use(
  methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) => {
      c.header("allow", methods.join(", "));
      return refused(c, refuse("method_not_allowed", { detail: `This path knows ${methods.join(", ")}.` }));
    },
  }),
);

// Any page may call with a key that it was given. No browser sends cookies along under a wildcard, so none is for others.
const preflight = cors({ origin: "*", maxAge: PREFLIGHT_SECONDS });
const anyOrigin: MiddlewareHandler<HttpEnv> = async (c, next) => {
  if (c.req.method === "OPTIONS") return await preflight(c, next);
  c.header("access-control-allow-origin", "*");
  c.header("access-control-expose-headers", EXPOSED);
  return await next();
};
app.use("/v1/*", anyOrigin);
app.use("/api/v1/*", anyOrigin);

app.use("/v1/*", boundAddress);
app.use("/api/v1/*", boundAddress);

app.route("/v1", gateway);
app.route("/api/v1", api);
app.get("/openapi.json", (c) => c.json(openApiDocument()));
app.get("/docs", (c) => referencePage(c));
app.get("/docs/errors", (c) => errorsPage(c));

app.notFound((c) => refused(c, refuse("not_found")));

app.onError((error, c) => {
  if (error instanceof HTTPException) return refused(c, refusalOf(error));
  emitError("request_failed", error, { request_id: c.var.requestId, method: c.req.method, path: c.req.path });
  return refused(c, refuse("internal_error", { metadata: { request_id: c.var.requestId } }));
});

/** What the library's own validators throw before ours are asked. */
function refusalOf({ status }: HTTPException): Refusal {
  if (status === 413) return refuse("request_too_large");
  if (status === 415) return refuse("unsupported_media_type");
  return status < 500 ? refuse("invalid_json") : refuse("internal_error");
}
