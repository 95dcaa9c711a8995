import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { SCOPES } from "../../../core/account/scopes.ts";
import { parseInviteToken } from "../../../protocol/invite-token.ts";
import { configOf } from "../../../workers/config.ts";
import { call, callWith, forbiddenObjects, openAccount } from "./support.ts";

let opened = 0;
const openOwn = () => openAccount(`team-${opened++}`);
const invite = (key: string, body: object) => call("/api/v1/team/invites", { key, body });
const join = (body: object) => call("/api/v1/team/join", { body });

async function add(key: string, role: string) {
  const { json } = await invite(key, { role });
  return (await join({ token: json.token, name: role })).json;
}

it("invites, and gives who joins a key that works", async () => {
  const { account, key } = await openOwn();
  const made = await invite(key, { role: "developer", name: "Ada" });
  expect([made.status, made.json.used, made.json.uses]).toEqual([200, 0, 1]);
  expect(made.json.token).toMatch(new RegExp(`^tmi_${account}[0-9A-Za-z]{49}$`));
  const joined = await join({ token: made.json.token, name: "Ada" });
  expect(joined.status).toBe(201);
  expect(joined.json).toMatchObject({
    account,
    joined: true,
    notice: null,
    member: { name: "Ada", role: "developer" },
  });
  const team = await call("/api/v1/team", { key: joined.json.api_key });
  expect(team.json.data.map(({ role, keys }: { role: string; keys: number }) => [role, keys])).toEqual([
    ["owner", 1],
    ["developer", 1],
  ]);
  const listed = await call("/api/v1/team/invites", { key });
  expect(listed.json.data).toMatchObject([{ id: made.json.id, used: 1, name: "Ada" }]);
  expect(listed.text).not.toContain("tmi_");
  expect((await call("/api/v1/team/invites", { key: joined.json.api_key })).json.code).toBe("role_forbids");
  const keys = await call("/api/v1/keys", { key: joined.json.api_key });
  expect(keys.json.data.map(({ member }: { member: string }) => member)).toEqual([joined.json.member.id]);
});

it("answers the same call with the same token and the same key", async () => {
  const { key } = await openOwn();
  const body = { role: "viewer", id: "one", uses: 2 };
  const [first, again] = [await invite(key, body), await invite(key, body)];
  expect(again.json).toEqual(first.json);
  expect((await invite(key, { ...body, role: "owner" })).json.code).toBe("id_conflict");
  const { token } = first.json;
  const same = await Promise.all([1, 2, 3].map(() => join({ token, name: "a", id: "mine" })));
  expect(same.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 201]);
  expect(new Set(same.map(({ json }) => json.api_key)).size).toBe(1);
  expect((await join({ token, name: "b" })).status).toBe(201);
  expect((await join({ token, name: "c" })).json.code).toBe("invite_used");
  const own = (await call("/api/v1/keys", { key })).json.data.find(({ name }: { name: string }) => name === "a");
  await call(`/api/v1/keys/${own.id}`, { method: "DELETE", key });
  const late = await join({ token, name: "a", id: "mine" });
  expect(late.json).toMatchObject({ api_key: null, joined: false });
  expect(late.json.notice).toContain("revoked or rotated");
});

it("calls no object for a forged token, nor takes a key for one", async () => {
  const { key } = await openOwn();
  const { token } = (await invite(key, { role: "viewer" })).json;
  expect(parseInviteToken(token, configOf(env).edgeKey)).not.toBeNull();
  const { bindings, uses } = forbiddenObjects();
  const forged = [token.slice(0, -1) + (token.endsWith("a") ? "b" : "a"), `tmi_${key.slice(3)}`, key, "tmi_"];
  for (const each of forged) {
    const { status, json } = await callWith(bindings, "/api/v1/team/join", { body: { token: each, name: "x" } });
    expect([status, json.code]).toEqual([401, "invalid_invite"]);
  }
  const asKey = await callWith(bindings, "/api/v1/team", { key: `tm_${token.slice(4)}` });
  expect([asKey.status, uses]).toEqual([401, []]);
});

it("bounds the tries of an address and of an account, without asking the account", async () => {
  const { account, key } = await openOwn();
  const { token } = (await invite(key, { role: "viewer", uses: 9 })).json;
  const full = (what: string) => ({
    JOIN_LIMIT: { limit: ({ key: tried }: RateLimitOptions) => Promise.resolve({ success: tried !== what }) },
  });
  const { bindings, uses } = forbiddenObjects();
  const tries = async (what: string, address: string, body: object) => {
    const headers = { "cf-connecting-ip": address };
    return await callWith({ ...bindings, ...full(what) }, "/api/v1/team/join", { body, headers });
  };
  const body = { token, name: "Ada" };
  for (const [what, sent] of [
    [`account/${account}`, body],
    ["address/192.0.2.1", body],
    ["address/192.0.2.1", { ...body, token: "tmi_guess" }],
  ] as const) {
    const { status, json, headers } = await tries(what, "192.0.2.1", sent);
    expect([status, json.code, headers.get("retry-after")]).toEqual([429, "rate_limited", "60"]);
  }
  expect((await tries("address/192.0.2.1", "192.0.2.2", { ...body, token: "tmi_guess" })).json.code).toBe(
    "invalid_invite",
  );
  expect(uses).toEqual([]);
  expect(await env.JOIN_LIMIT.limit({ key: "test" })).toEqual({ success: true });
});

it("keeps an invite whose maker's key was revoked, until the invite is", async () => {
  const { key } = await openOwn();
  const made = (await call("/api/v1/keys", { key, body: { name: "second", scopes: SCOPES } })).json;
  const { id, token } = (await invite(made.key, { role: "viewer", uses: 9 })).json;
  await call(`/api/v1/keys/${made.id}`, { method: "DELETE", key });
  expect((await join({ token, name: "Ada" })).status).toBe(201);
  await call(`/api/v1/team/invites/${id}`, { method: "DELETE", key });
  expect((await join({ token, name: "Eve" })).json.code).toBe("invalid_invite");
});

it("changes and removes members", async () => {
  const { key } = await openOwn();
  const { member, api_key } = await add(key, "developer");
  const path = `/api/v1/team/members/${member.id}`;
  const changed = await call(path, { method: "PATCH", key, body: { role: "viewer", name: "Eve" } });
  expect(changed.json).toMatchObject({ role: "viewer", name: "Eve", keys: 1 });
  expect((await call("/api/v1/keys", { key: api_key })).json.code).toBe("forbidden");
  const removed = await call(path, { method: "DELETE", key });
  expect(removed.json).toMatchObject({ keys: 0, removed_at: expect.any(String) as unknown });
  expect((await call(path, { method: "DELETE", key })).json).toEqual(removed.json);
  expect((await call("/api/v1/team", { key: api_key })).json.code).toBe("invalid_api_key");
  const nobody = await call(path.slice(0, -1) + (path.endsWith("a") ? "b" : "a"), { method: "DELETE", key });
  expect([nobody.status, nobody.json.code]).toEqual([404, "member_not_found"]);
});

it("lets an owner make keys for a member, and shows usage by member", async () => {
  const { key } = await openOwn();
  const { member, api_key } = await add(key, "billing");
  const made = await call("/api/v1/keys", { key, body: { name: "k", member: member.id } });
  // What the role has of the usual scopes.
  expect([made.status, made.json.member, made.json.scopes]).toEqual([201, member.id, ["read"]]);
  const wide = await call("/api/v1/keys", { key, body: { name: "w", member: member.id, scopes: ["inference"] } });
  expect([wide.status, wide.json.code, wide.json.param]).toEqual([403, "role_forbids", "scopes"]);
  const usage = await call("/api/v1/usage?by=member", { key: api_key });
  expect([usage.status, usage.json.data]).toEqual([200, []]);
});
