/** What every route of the network API is made from: the app, its middlewares, and the common parts of descriptions. */

import { OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { every } from "hono/combine";
import { createMiddleware } from "hono/factory";
import { refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { API_KEY_PREFIX, type ApiKey } from "../../protocol/api-key.ts";
import { refuseIssues } from "../../protocol/errors.ts";
import { problem as problemShape } from "../../protocol/network/common.ts";
import { SESSION_PREFIX } from "../../protocol/session-token.ts";
import { authenticate, authenticateAdmin } from "../auth.ts";
import { readJsonText } from "../body.ts";
import { configOf } from "../config.ts";
import { type HttpEnv, problem } from "../http.ts";

type KeyedEnv = HttpEnv & { Variables: { key: ApiKey } };
/** With the name of the operator who calls. */
type OperatorEnv = HttpEnv & { Variables: { operator: string } };

/** An app for one noun; the index mounts them all. What a schema turns down is answered with the parameter's name. */
export function newApi(): OpenAPIHono<HttpEnv> {
  return new OpenAPIHono<HttpEnv>({
    defaultHook: (result, c) => (result.success ? undefined : problem(c, refuseIssues(result.error))),
  });
}

/** Lets a call pass that brings a well-formed key or access token of this network; whether it still counts is for the account to say. */
const withKeyFrom = (authorizationOf: (c: Context) => string | undefined) =>
  createMiddleware<KeyedEnv>(async (c, next) => {
    const key = authenticate(c, configOf(c.env), authorizationOf(c));
    if (!key.ok) return problem(c, key.refusal);
    c.set("key", key.value);
    c.header("cache-control", "no-store");
    return next();
  });

const withKey = withKeyFrom((c) => c.req.header("authorization"));

/** A browser's WebSocket can set no headers but its subprotocols, and a key in the address would stand in logs. */
const withSocketKey = withKeyFrom((c) => c.req.header("authorization") ?? offeredKey(c));

function offeredKey(c: Context): string | undefined {
  const offered = offeredProtocols(c.req.header("sec-websocket-protocol"));
  const key = offered.find((name) => name.startsWith(API_KEY_PREFIX) || name.startsWith(SESSION_PREFIX));
  return key === undefined ? undefined : `Bearer ${key}`;
}

/** The names of a `Sec-WebSocket-Protocol` header. */
export function offeredProtocols(header: string | undefined): string[] {
  return header === undefined ? [] : header.split(",").map((name) => name.trim());
}

/** Lets an operator pass. */
const withAdmin = createMiddleware<OperatorEnv>(async (c, next) => {
  const admin = authenticateAdmin(c.req.header("authorization"), configOf(c.env));
  if (!admin.ok) return problem(c, admin.refusal);
  c.set("operator", admin.value);
  c.header("cache-control", "no-store");
  return next();
});

/** Reads a JSON body within bounds, so that the validators behind it meet nothing but JSON. */
const withJson = createMiddleware<HttpEnv>(async (c, next) => {
  const text = await readJsonText(c.req.raw, LIMITS.networkBodyBytes);
  if (!text.ok) return problem(c, text.refusal);
  try {
    JSON.parse(text.value);
  } catch {
    return problem(c, refuse("invalid_json"));
  }
  const { url, method, headers } = c.req.raw;
  c.req.raw = new Request(url, { method, headers, body: text.value });
  return next();
});

const apiKey = [{ apiKey: [] }, { session: [] }];
const adminKey = [{ adminKey: [] }];

/** The parts of a description that say who may call. Each comes with the middleware that holds it to that. */
export const byKey = { security: apiKey, middleware: withKey };
export const bySocketKey = { security: apiKey, middleware: withSocketKey };
export const byKeyWithJson = { security: apiKey, middleware: every(withKey, withJson) as typeof withKey };
export const byAdmin = { security: adminKey, middleware: withAdmin };
export const byAdminWithJson = { security: adminKey, middleware: every(withAdmin, withJson) as typeof withAdmin };
export const byAnyone = { security: [] };
export const byAnyoneWithJson = { security: [], middleware: withJson };

/**
 * Gives a schema the name under which the document shows it. The library adds its own method for this to schemas that are
 * made after it was loaded; called like this it serves those of protocol/ too, whichever module came first.
 */
export function named<Schema extends z.ZodType>(name: string, schema: Schema): Schema {
  return z.ZodType.prototype.openapi.call(schema, name);
}

/** The answer of a route that went well. */
export function answers<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { "application/json": { schema } } };
}

/** The JSON body of a request. */
export function takes<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { "application/json": { schema } } };
}

/** How every route refuses. */
export const problems = {
  default: {
    description: "A problem (RFC 9457) that names what is wrong and what to do.",
    content: { "application/problem+json": { schema: named("Problem", problemShape) } },
  },
};
