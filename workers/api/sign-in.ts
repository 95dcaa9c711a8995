import { createRoute, z } from "@hono/zod-openapi";
import { getCookie } from "hono/cookie";
import { refuse } from "../../core/errors.ts";
import { base62, type SessionId } from "../../core/ids.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import type { ApiKey } from "../../protocol/api-key.ts";
import { sessionId } from "../../protocol/ids.ts";
import { idempotencyHeaders, timeText } from "../../protocol/network/common.ts";
import {
  askChallenge,
  challenge as challengeShape,
  endedSessions,
  openedSession as openedShape,
  refreshSession,
  sessionList,
  session as sessionShape,
  signedIn,
  verifySignIn,
} from "../../protocol/network/sign-in.ts";
import { parseRefreshToken, REFRESH_COOKIE } from "../../protocol/session-token.ts";
import { mayUseCookies } from "../auth.ts";
import { giveChallenge, SIGN_IN, takeProof } from "../challenges.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { dropCookies, hashesOf, openedSession, secretsOf, shownSession } from "../sessions.ts";
import { signIn } from "../sign-in.ts";
import { answers, byAnyoneWithJson, byKey, named, newApi, problems, takes } from "./app.ts";

const session = named("Session", sessionShape);
const ended = named("EndedSessions", endedSessions);
const tags = ["Sign-in"];

const postChallenge = createRoute({
  method: "post",
  path: "/auth/challenge",
  tags,
  summary: "Ask for a message to sign",
  description:
    "The input of a wallet's `solana:signIn` and the very text of it. It may be answered once, within five minutes, by this " +
    "wallet, on the domain that it names.",
  ...byAnyoneWithJson,
  request: { body: takes(askChallenge) },
  responses: { 200: answers(named("Challenge", challengeShape), "The challenge."), ...problems },
});

const postVerify = createRoute({
  method: "post",
  path: "/auth/verify",
  tags,
  summary: "Sign in",
  description:
    "Answers a challenge with the wallet's signature over its text, byte for byte. The first sign-in of a wallet that nobody " +
    "has linked opens an account. A session may do what its member's role allows; one of a recovery wallet may only link " +
    "another wallet. A member has sixteen sessions: a further one ends the oldest. An answer that was lost is asked for with a new challenge.",
  ...byAnyoneWithJson,
  request: { body: takes(verifySignIn) },
  responses: {
    200: answers(named("SignedIn", signedIn), "The session with its tokens."),
    201: answers(named("SignedIn", signedIn), "The session of the account that this has opened."),
    ...problems,
  },
});

const postRefresh = createRoute({
  method: "post",
  path: "/auth/refresh",
  tags,
  summary: "Get the next tokens",
  description:
    "Takes a refresh token, once, for a new pair; the access token before is taken for a minute more. With an " +
    "`Idempotency-Key` the same call again gets the same pair. A refresh token that comes a second time in another call ends " +
    "its session, as somebody else must have it.",
  ...byAnyoneWithJson,
  request: { headers: idempotencyHeaders, body: takes(refreshSession) },
  responses: { 200: answers(named("OpenedSession", openedShape), "The session with its new tokens."), ...problems },
});

const getSessions = createRoute({
  method: "get",
  path: "/auth/sessions",
  tags,
  summary: "Sessions",
  description: "The member's sessions that have not ended, oldest first; an owner sees everyone's.",
  ...byKey,
  responses: { 200: answers(sessionList.extend({ data: z.array(session) }), "The sessions."), ...problems },
});

const deleteSessions = createRoute({
  method: "delete",
  path: "/auth/sessions",
  tags,
  summary: "Sign out, here or everywhere",
  description: "Ends the session that asks, or with `all=true` all sessions of its member, at once.",
  ...byKey,
  request: { query: z.object({ all: z.enum(["true", "false"]).optional() }) },
  responses: { 200: answers(ended, "The sessions that have ended."), ...problems },
});

const deleteSession = createRoute({
  method: "delete",
  path: "/auth/sessions/{id}",
  tags,
  summary: "End a session",
  description: "Ends one of the member's sessions at once; an owner ends anyone's. Ending twice changes nothing.",
  ...byKey,
  request: { params: z.object({ id: sessionId }) },
  responses: { 200: answers(ended, "The session, if this call has ended it."), ...problems },
});

export const auth = newApi();

auth.openapi(postChallenge, async (c) => {
  c.header("cache-control", "no-store");
  const given = await giveChallenge(c, c.req.valid("json").address, SIGN_IN);
  if (!given.ok) return problem(c, given.refusal);
  const { input, message, expiresAt } = given.value;
  return c.json(
    { input: { ...input, resources: [...input.resources] }, message, expires_at: timeText(expiresAt) },
    200,
  );
});

auth.openapi(postVerify, async (c) => {
  c.header("cache-control", "no-store");
  const { cookie: inCookies = false, ...proof } = c.req.valid("json");
  if (inCookies && !mayUseCookies(c)) return problem(c, refuse("foreign_origin"));
  const proven = await takeProof(c, proof, SIGN_IN);
  if (!proven.ok) return problem(c, proven.refusal);
  const signed = await signIn(c, proof.address);
  if (!signed.ok) return problem(c, signed.refusal);
  const { account, opened, session: begun, secrets, starter } = signed.value;
  emit("signed_in", { account, session: begun.id, opened, starter, request_id: c.var.requestId });
  const shown = openedSession(c, account, begun, secrets, { edgeKey: configOf(c.env).edgeKey, inCookies });
  return c.json({ ...shown, opened, starter }, opened ? 201 : 200);
});

auth.openapi(postRefresh, async (c) => {
  c.header("cache-control", "no-store");
  const { edgeKey } = configOf(c.env);
  const sent = c.req.valid("json").refresh_token;
  const inCookies = sent === undefined;
  if (inCookies && !mayUseCookies(c)) return problem(c, refuse("foreign_origin"));
  const token = sent ?? getCookie(c, REFRESH_COOKIE) ?? "";
  const parsed = parseRefreshToken(token, edgeKey);
  if (parsed === null) return problem(c, refuse("invalid_session"));
  const { account, secretHash: refreshHash } = parsed;
  const call = c.req.valid("header")["idempotency-key"] ?? base62(crypto.getRandomValues(new Uint8Array(16)));
  const secrets = secretsOf(edgeKey, `${token}\n${call}`);
  const command = { type: "refresh", refreshHash, next: hashesOf(secrets) } as const;
  const answer = await onAccount(c.env, account, (object) => object.sessions(command));
  const refreshed = answer.ok ? answer.value[0] : undefined;
  if (refreshed === undefined) {
    if (inCookies) dropCookies(c);
    return problem(c, answer.ok ? refuse("invalid_session") : answer.refusal);
  }
  return c.json(openedSession(c, account, refreshed, secrets, { edgeKey, inCookies }), 200);
});

auth.openapi(getSessions, async (c) => {
  const { account, secretHash } = c.var.key;
  const command = { type: "list", credentials: { secretHash } } as const;
  const answer = await onAccount(c.env, account, (object) => object.sessions(command));
  return answer.ok ? c.json({ data: answer.value.map(shownSession) }, 200) : problem(c, answer.refusal);
});

auth.openapi(deleteSessions, async (c) => {
  const answer = await endSessions(c.env, c.var.key, c.req.valid("query").all === "true" ? "all" : "own");
  if (!answer.ok) return problem(c, answer.refusal);
  dropCookies(c);
  return c.json({ ended: answer.value.map(({ id }) => id) }, 200);
});

auth.openapi(deleteSession, async (c) => {
  const answer = await endSessions(c.env, c.var.key, c.req.valid("param").id);
  return answer.ok ? c.json({ ended: answer.value.map(({ id }) => id) }, 200) : problem(c, answer.refusal);
});

function endSessions(env: Env, { account, secretHash }: ApiKey, which: SessionId | "own" | "all") {
  const command = { type: "end", credentials: { secretHash }, which } as const;
  return onAccount(env, account, (object) => object.sessions(command));
}
