/** What every HTTP face of the edge shares: the types of a request's context, and refusals on the wire. */

import type { Context, TypedResponse } from "hono";
import type { JSONParsed } from "hono/utils/types";
import type { z } from "zod";
import { ERRORS, type ErrorCode, type Refusal } from "../core/errors.ts";
import { toOpenAiError, toProblem } from "../protocol/errors.ts";
import type { problem as problemShape } from "../protocol/network/common.ts";

export interface HttpEnv {
  Bindings: Env;
  Variables: {
    /** Names this request in the answer's x-request-id and in events. */
    requestId: string;
  };
}

/** What is known of a call in every route, whatever its middlewares have added. */
export type CallContext = Pick<Context<HttpEnv>, "req" | "env" | "var" | "header">;

type ErrorStatus = (typeof ERRORS)[ErrorCode]["status"];

/** A problem as the typed routes of the network API describe it: one type for each status. */
type ProblemResponse = {
  [Status in ErrorStatus]: Response & TypedResponse<JSONParsed<z.infer<typeof problemShape>>, Status, "json">;
}[ErrorStatus];

/** A refusal as an RFC 9457 problem. */
export function problem(c: Context, refusal: Refusal): ProblemResponse {
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
  return c.json(toProblem(refusal), ERRORS[refusal.code].status, headers);
}

/** A refusal in the dialect of the path: OpenAI's under /v1, RFC 9457 elsewhere. */
export function refused(c: Context, refusal: Refusal): Response {
  if (!/^\/v1(\/|$)/.test(c.req.path)) return problem(c, refusal);
  return c.json(toOpenAiError(refusal), ERRORS[refusal.code].status);
}
