/** The one mapping from the error table to the wire: OpenAI's shape under /v1, RFC 9457 problems under /api/v1. */

import type { z } from "zod";
import { ERRORS, type ErrorCode, type Refusal, refuse } from "../core/errors.ts";

/** OpenAI's error object. */
export interface OpenAiError {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
    readonly metadata?: Readonly<Record<string, unknown>>;
  };
}

/** A problem as RFC 9457 defines it, with `code`, `param` and `metadata` beside its own members. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly param?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export function statusOf(refusal: Refusal): number {
  return ERRORS[refusal.code].status;
}

export function toOpenAiError(refusal: Refusal): OpenAiError {
  return {
    error: {
      message: refusal.message,
      type: ERRORS[refusal.code].type,
      param: refusal.param ?? null,
      code: refusal.code,
      ...(refusal.metadata === undefined ? {} : { metadata: refusal.metadata }),
    },
  };
}

export function toProblem(refusal: Refusal): Problem {
  const { status, title } = ERRORS[refusal.code];
  return {
    type: `/docs/errors#${refusal.code}`,
    title,
    status,
    detail: refusal.message,
    code: refusal.code,
    ...(refusal.param === undefined ? {} : { param: refusal.param }),
    ...(refusal.metadata === undefined ? {} : { metadata: refusal.metadata }),
  };
}

/**
 * The refusal of a value that a schema turned down: names the first parameter at fault (`messages[0].content`) and says
 * what was expected there. The value itself is never repeated, as it may be a prompt.
 */
export function refuseIssues(error: z.ZodError, code: ErrorCode = "invalid_request"): Refusal {
  const issue = deepest(error.issues[0]);
  if (issue === undefined) return refuse(code);
  const path = [...issue.path];
  if (issue.code === "unrecognized_keys" && issue.keys[0] !== undefined) path.push(issue.keys[0]);
  const param = pathText(path);
  const detail = issue.code === "unrecognized_keys" ? "is not a known parameter" : sentence(issue.message);
  return refuse(code, { detail: `${param || "The body"}: ${detail}.`, ...(param === "" ? {} : { param }) });
}

type Issue = z.core.$ZodIssue;

/** Of a union's branches the one that went furthest says best what was meant. */
function deepest(issue: Issue | undefined): Issue | undefined {
  if (issue?.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const branches = issue.errors.flatMap((branch) => branch.slice(0, 1));
  branches.sort((a, b) => b.path.length - a.path.length);
  const best = deepest(branches[0]);
  return best === undefined || best.path.length === 0 ? issue : { ...best, path: [...issue.path, ...best.path] };
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    "",
  );
}

function sentence(message: string): string {
  return message.replace(/\.$/, "").replace(/^Invalid input: /, "");
}
