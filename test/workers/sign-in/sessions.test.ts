import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { type Answer, call, callWith, forbiddenObjects, ORIGIN, openAccount } from "../api/support.ts";
import { codeOf, signIn } from "./support.ts";

afterEach(() => {
  vi.useRealTimers();
});

const later = (ms: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
const refresh = (token: string, id?: string) =>
  call("/api/v1/auth/refresh", {
    body: { refresh_token: token },
    ...(id === undefined ? {} : { headers: { "idempotency-key": id } }),
  });
const balance = (key: string) => call("/api/v1/balance", { key });
const sessions = (key: string) => call("/api/v1/auth/sessions", { key });
const signOut = (key: string, rest = "") => call(`/api/v1/auth/sessions${rest}`, { method: "DELETE", key });
const UNKNOWN = [401, "invalid_api_key"];

it("opens whatever a key of its member's role would", async () => {
  const { account, access_token: key } = (await signIn("alice")).json;
  expect((await balance(key)).status).toBe(200);
  expect((await call("/api/v1/ledger", { key })).status).toBe(200);
  expect((await call("/api/v1/daemons", { key })).status).toBe(200);
  const made = await call("/api/v1/keys", { key, body: { name: "ci" } });
  expect(made.status).toBe(201);
  // What sessions act as is no key that anybody sees, changes or ends.
  const listed = (await call("/api/v1/keys", { key })).json.data;
  expect(listed.map(({ name }: { name: string }) => name)).toEqual(["ci"]);
  const invite = await call("/api/v1/team/invites", { key, body: { role: "viewer" } });
  const joined = (await call("/api/v1/team/join", { body: { token: invite.json.token, name: "Eve" } })).json;
  expect(joined.account).toBe(account);
  await evictDurableObject(env.ACCOUNT.getByName(account));
  expect((await balance(key)).status).toBe(200);
});

it("gives the next tokens for a refresh token, and takes the old access token for a minute more", async () => {
  const { json } = await signIn("alice");
  const next = await refresh(json.refresh_token);
  expect([next.status, next.json.id, next.json.account]).toEqual([200, json.id, json.account]);
  expect(next.json.access_token).not.toBe(json.access_token);
  for (const key of [json.access_token, next.json.access_token]) expect((await balance(key)).status).toBe(200);
  later(LIMITS.sessionOverlapMs + 1_000);
  expect(codeOf(await balance(json.access_token))).toEqual(UNKNOWN);
  expect((await balance(next.json.access_token)).status).toBe(200);
});

it("ends an access token after an hour and a session after a month, refreshed or not", async () => {
  const { json } = await signIn("alice");
  later(LIMITS.sessionAccessMs - 2_000);
  expect((await balance(json.access_token)).status).toBe(200);
  later(2_000);
  expect(codeOf(await balance(json.access_token))).toEqual(UNKNOWN);
  const next = await refresh(json.refresh_token);
  expect((await balance(next.json.access_token)).status).toBe(200);
  later(LIMITS.sessionMs);
  expect(codeOf(await refresh(next.json.refresh_token))).toEqual([401, "invalid_session"]);
});

it("answers the same refresh call with the same tokens, also to many at once", async () => {
  const { json } = await signIn("alice");
  const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(json.refresh_token, "one")));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect((await balance(answers[0]?.json.access_token)).status).toBe(200);
});

it("ends the whole session when a refresh token comes a second time", async () => {
  const { json } = await signIn("alice");
  const other = (await signIn("alice")).json;
  const thief = await refresh(json.refresh_token);
  const owner = await refresh(json.refresh_token, "mine");
  expect(codeOf(owner)).toEqual([401, "refresh_reused"]);
  for (const key of [json.access_token, thief.json.access_token]) expect(codeOf(await balance(key))).toEqual(UNKNOWN);
  expect(codeOf(await refresh(thief.json.refresh_token))).toEqual([401, "invalid_session"]);
  expect((await balance(other.access_token)).status).toBe(200);
});

it("knows a refresh token from long ago, and the same call of one when its successor was used", async () => {
  const { json } = await signIn("alice");
  const second = (await refresh(json.refresh_token, "a")).json;
  const third = (await refresh(second.refresh_token, "b")).json;
  await evictDurableObject(env.ACCOUNT.getByName(json.account));
  expect(codeOf(await refresh(json.refresh_token, "a"))).toEqual([401, "refresh_reused"]);
  expect(codeOf(await balance(third.access_token))).toEqual(UNKNOWN);
});

it("touches no object for a forged token, nor takes one sort for another", async () => {
  const { json } = await signIn("alice");
  const { bindings, uses } = forbiddenObjects();
  const { access_token: access, refresh_token: token } = json;
  for (const each of [
    `tmr_${access.slice(4)}`,
    `${token.slice(0, -1)}${token.endsWith("a") ? "b" : "a"}`,
    access,
    "tmr_",
  ]) {
    const answer = await callWith(bindings, "/api/v1/auth/refresh", { body: { refresh_token: each } });
    expect(codeOf(answer)).toEqual([401, "invalid_session"]);
  }
  for (const key of [`tms_${token.slice(4)}`, `tm_${access.slice(4)}`, token]) {
    expect(codeOf(await callWith(bindings, "/api/v1/balance", { key }))).toEqual(UNKNOWN);
  }
  expect(uses).toEqual([]);
});

it("lists a member's sessions, and ends one, its own, or all of them", async () => {
  const [first, second, third] = [await signIn("alice"), await signIn("alice"), await signIn("alice")].map(
    ({ json }) => json,
  );
  const listed = await sessions(first.access_token);
  expect(listed.json.data.map(({ id, own }: { id: string; own: boolean }) => [id, own])).toEqual([
    [first.id, true],
    [second.id, false],
    [third.id, false],
  ]);
  expect(listed.text).not.toMatch(/tm[sr]_/);
  expect((await signOut(first.access_token, `/${second.id}`)).json).toEqual({ ended: [second.id] });
  expect((await signOut(first.access_token, `/${second.id}`)).json).toEqual({ ended: [] });
  expect(codeOf(await balance(second.access_token))).toEqual(UNKNOWN);
  expect((await signOut(first.access_token)).json).toEqual({ ended: [first.id] });
  expect(codeOf(await balance(first.access_token))).toEqual(UNKNOWN);
  expect(codeOf(await refresh(first.refresh_token))).toEqual([401, "invalid_session"]);
  const fourth = (await signIn("alice")).json;
  const all = (await signOut(third.access_token, "?all=true")).json.ended;
  expect(new Set(all)).toEqual(new Set([third.id, fourth.id]));
  expect(codeOf(await balance(fourth.access_token))).toEqual(UNKNOWN);
});

it("leaves one account's sessions to itself", async () => {
  const [alice, bob] = [(await signIn("alice")).json, (await signIn("bob")).json];
  expect((await sessions(bob.access_token)).json.data).toHaveLength(1);
  expect((await signOut(bob.access_token, `/${alice.id}`)).json).toEqual({ ended: [] });
  expect((await balance(alice.access_token)).status).toBe(200);
});

it("ends the oldest session where a member has sixteen", async () => {
  const begun: Answer[] = [];
  for (let i = 0; i < LIMITS.memberSessions + 1; i++) begun.push(await signIn("alice"));
  const last = begun.at(-1)?.json;
  const ids = (await sessions(last.access_token)).json.data.map(({ id }: { id: string }) => id);
  expect(ids).toEqual(begun.slice(1).map(({ json }) => json.id));
});

it("lets no key without `manage` see sessions, and an operator's key none at all", async () => {
  const { key } = await openAccount("sessions");
  expect((await sessions(key)).json).toEqual({ data: [] });
  const { json } = await call("/api/v1/keys", { key, body: { name: "reader", scopes: ["read"] } });
  expect(codeOf(await sessions(json.key))).toEqual([403, "forbidden"]);
  expect(codeOf(await signOut(json.key))).toEqual([403, "forbidden"]);
});

describe("a cookie", () => {
  const ours = { origin: ORIGIN };

  /** The cookies of an answer, as a browser sends them back. */
  function cookiesOf({ headers }: Answer): string {
    return headers
      .getSetCookie()
      .map((cookie) => cookie.split(";")[0])
      .join("; ");
  }

  it("carries the tokens where scripts cannot read them, and nothing else does", async () => {
    const answer = await signIn("alice", { cookie: true }, { headers: ours });
    expect([answer.json.access_token, answer.json.refresh_token]).toEqual([null, null]);
    const set = answer.headers.getSetCookie();
    expect(set).toHaveLength(2);
    for (const cookie of set) {
      expect(cookie).toMatch(/^__Host-tollmill-(session=tms|refresh=tmr)_\w+;/);
      for (const part of ["Path=/", "HttpOnly", "Secure", "SameSite=Strict"]) expect(cookie).toContain(part);
      expect(cookie).not.toMatch(/domain/i);
    }
    const cookie = cookiesOf(answer);
    expect((await call("/api/v1/balance", { headers: { cookie } })).status).toBe(200);
    const made = await call("/api/v1/keys", { headers: { cookie, ...ours }, body: { name: "k" } });
    expect(made.status).toBe(201);
  });

  it("changes nothing for a page of another origin, or of none", async () => {
    const cookie = cookiesOf(await signIn("alice", { cookie: true }, { headers: ours }));
    const foreign = [{}, { origin: "null" }, { origin: "https://evil.test" }, { origin: `${ORIGIN}.evil` }];
    for (const origin of [...foreign, { origin: ORIGIN.replace("https", "http") }]) {
      const headers = { cookie, ...origin } as Record<string, string>;
      expect(codeOf(await call("/api/v1/keys", { headers, body: { name: "k" } }))).toEqual([403, "foreign_origin"]);
      expect(codeOf(await call("/api/v1/auth/refresh", { headers, body: {} }))).toEqual([403, "foreign_origin"]);
      expect(codeOf(await signIn("alice", { cookie: true }, { headers }))).toEqual([403, "foreign_origin"]);
      expect((await call("/v1/chat/completions", { headers, body: {} })).json.error.code).toBe("foreign_origin");
      const socket = { ...headers, upgrade: "websocket" };
      expect(codeOf(await call("/api/v1/balance/live", { headers: socket }))).toEqual([403, "foreign_origin"]);
    }
    expect((await call("/api/v1/keys", { headers: { cookie } })).json.data).toEqual([]);
  });

  it("is refreshed, and taken away when its session ends", async () => {
    const first = cookiesOf(await signIn("alice", { cookie: true }, { headers: ours }));
    const next = await call("/api/v1/auth/refresh", { headers: { cookie: first, ...ours }, body: {} });
    expect([next.status, next.json.access_token]).toEqual([200, null]);
    const again = await call("/api/v1/auth/refresh", { headers: { cookie: first, ...ours }, body: {} });
    expect(codeOf(again)).toEqual([401, "refresh_reused"]);
    const third = cookiesOf(await signIn("alice", { cookie: true }, { headers: ours }));
    const out = await call("/api/v1/auth/sessions", { method: "DELETE", headers: { cookie: third, ...ours } });
    expect(out.json.ended).toHaveLength(1);
    expect(out.headers.getSetCookie().every((cookie) => /Max-Age=0/.test(cookie))).toBe(true);
    expect(codeOf(await call("/api/v1/balance", { headers: { cookie: third } }))).toEqual(UNKNOWN);
  });

  it("stands back behind a header", async () => {
    const cookie = cookiesOf(await signIn("alice", { cookie: true }, { headers: ours }));
    const headers = { cookie, authorization: "Bearer tm_nonsense" };
    expect(codeOf(await call("/api/v1/balance", { headers }))).toEqual(UNKNOWN);
  });
});
