/** Reads an engine's refusal and gives it one of the daemon's codes. Its text is looked at, but never passed on. */

import { z } from "zod";
import { systemCode } from "../failure.ts";
import { EngineError } from "./engine.ts";

const problem = z.object({
  message: z.string().catch(""),
  type: z.string().nullish().catch(null),
  code: z.union([z.string(), z.number()]).nullish().catch(null),
  param: z.string().nullish().catch(null),
});

const CONTEXT =
  /context[ _](length|size|window)|maximum context|exceeds? the (available|model'?s) context|too many tokens|prompt is too long/i;
const UNSUPPORTED =
  /(not|n't) support|unsupported|not (yet )?implemented|unrecognized|unknown (parameter|field)|extra (inputs|fields)/i;
/** A parameter's path, and nothing that could be a piece of prompt. */
const PARAM = /^[a-z_][a-z0-9_.[\]]{0,63}$/;

/** What an HTTP answer other than 2xx means. `body` is the text of the answer, as far as it was read. */
export function engineRefusal(status: number, body: string): EngineError {
  const { message, type, code, param } = readProblem(body);
  const named = typeof param === "string" && PARAM.test(param) ? ` (${param})` : "";
  if (code === "context_length_exceeded" || type === "exceed_context_size_error" || CONTEXT.test(message)) {
    return new EngineError("context_length_exceeded", "The prompt does not fit the context that the engine runs with.");
  }
  if (status >= 400 && status < 500 && (code === "unsupported_parameter" || UNSUPPORTED.test(message))) {
    return new EngineError("unsupported_parameter", `The engine does not support a parameter of the request${named}.`);
  }
  if (status === 400 || status === 413 || status === 422) {
    return new EngineError("invalid_request", `The engine refused the request with status ${status}${named}.`);
  }
  return new EngineError("engine_error", `The engine answered with status ${status}.`);
}

/** What a failed call means: the engine cannot be reached, or broke off. */
export function engineTrouble(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const code = systemCode(error);
  if (
    code !== null &&
    /^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EAI_AGAIN|UND_ERR_CONNECT)/.test(code)
  ) {
    return new EngineError("engine_unreachable", `The engine cannot be reached (${code}).`);
  }
  return new EngineError("engine_error", `The engine's answer broke off${code === null ? "" : ` (${code})`}.`);
}

function readProblem(body: string): z.infer<typeof problem> {
  const none = { message: "", type: null, code: null, param: null };
  try {
    const value: unknown = JSON.parse(body);
    const inner = typeof value === "object" && value !== null && "error" in value ? value.error : value;
    if (typeof inner === "string") return { ...none, message: inner };
    const parsed = problem.safeParse(inner);
    return parsed.success ? parsed.data : none;
  } catch {
    return { ...none, message: body };
  }
}
