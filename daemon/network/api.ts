/** Calls of the network's API, `/api/v1`. Its refusals (RFC 9457 problems) become failures that say what to do. */

import { z } from "zod";
import { EXIT, Failure, reasonOf, systemCode } from "../failure.ts";
import type { Settings } from "./settings.ts";

const problem = z.object({ detail: z.string(), code: z.string().optional() });
const TIMEOUT_MS = 30_000;

/** A refusal of the network, with its code from core/errors.ts where it gave one. */
export class Refused extends Failure {
  readonly code: string | null;

  constructor(code: string | null, message: string) {
    super(EXIT.refused, message);
    this.code = code;
  }
}

export interface Call {
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  readonly body?: unknown;
  /** Makes a repeated call of the same key harmless. */
  readonly idempotencyKey?: string;
}

/** Calls a path and gives the text of its answer. Throws a {@link Failure}. */
export async function callText({ url, apiKey }: Settings, path: string, call: Call = {}): Promise<string> {
  const { response, text } = await exchange(url, path, {
    method: call.method ?? "GET",
    headers: {
      ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
      ...(call.body === undefined ? {} : { "content-type": "application/json" }),
      ...(call.idempotencyKey === undefined ? {} : { "idempotency-key": call.idempotencyKey }),
    },
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.ok) return text;
  const parsed = problem.safeParse(parseJson(text));
  if (parsed.success) {
    const hint =
      response.status === 401 && apiKey === null
        ? " Sign in with tollmill login, or give it with --api-key or TOLLMILL_API_KEY."
        : "";
    throw new Refused(parsed.data.code ?? null, parsed.data.detail + hint);
  }
  // A network that is just being restarted answers so, or what stands in front of it does.
  if (response.status >= 500) throw new Failure(EXIT.unreachable, `${url} answered with status ${response.status}.`);
  throw new Refused(
    null,
    `${url}${path} answered with status ${response.status}. Is --url that of a Tollmill network?`,
  );
}

/** Calls a path and reads its JSON. Throws a {@link Failure}. */
export async function callJson<T>(settings: Settings, path: string, schema: z.ZodType<T>, call: Call = {}): Promise<T> {
  const parsed = schema.safeParse(parseJson(await callText(settings, path, call)));
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join(".") || "the body";
  throw new Failure(
    EXIT.unreachable,
    `${settings.url}${path} answered in an unknown form (${where}). Update tollmill.`,
  );
}

async function exchange(url: string, path: string, init: RequestInit): Promise<{ response: Response; text: string }> {
  try {
    const response = await fetch(url + path, init);
    return { response, text: await response.text() };
  } catch (error) {
    const reason = systemCode(error) ?? reasonOf(error);
    throw new Failure(
      EXIT.unreachable,
      `${url} cannot be reached (${reason}). Start the network with npm start, or give --url.`,
    );
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
