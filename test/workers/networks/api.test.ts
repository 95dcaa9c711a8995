import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { pseudonymOf } from "../../../workers/auth.ts";
import { configOf } from "../../../workers/config.ts";
import { call, callWith, forbiddenObjects, openAccount, type TestAccount } from "../api/support.ts";
import { invite, join, MODEL, makeNetwork, RATES, remove } from "./support.ts";

let opened = 0;
const open = () => openAccount(`networks-${opened++}`, false);
const idOf = ({ account }: TestAccount) => pseudonymOf(account, configOf(env));
const members = async (key: string, network: string) =>
  (await call(`/api/v1/networks/${network}/members`, { key })).json;
const list = async (key: string) => (await call("/api/v1/networks", { key })).json.data;
const SHOWN = { [MODEL]: { prompt: "0.000010000", completion: "0.000123457" } };

describe("a network", () => {
  it("is made once by the same call, and shown to its admin", async () => {
    const { key } = await open();
    await makeNetwork(key, { id: "other" });
    const body = { name: "Lab", rates: RATES, id: "one" };
    const same = await Promise.all([1, 2, 3].map(() => call("/api/v1/networks", { key, body })));
    expect(new Set(same.map(({ json }) => json.id)).size).toBe(1);
    const [{ json }] = same as [(typeof same)[0]];
    expect(json).toMatchObject({ name: "Lab", admin: true, rates: SHOWN, closed_at: null });
    const conflict = await call("/api/v1/networks", { key, body: { ...body, name: "Den" } });
    expect([conflict.status, conflict.json.code]).toEqual([409, "id_conflict"]);
    expect((await list(key)).map(({ name }: { name: string }) => name)).toEqual(["Lab", "Lab"]);
    // The id is the caller's own: another account's call of the same one makes another network.
    const other = await open();
    expect((await call("/api/v1/networks", { key: other.key, body })).json.id).not.toBe(json.id);
  });

  it("changes its name and each rate by itself, for its admin alone", async () => {
    const [admin, member] = [await open(), await open()];
    const network = await makeNetwork(admin.key);
    await join(member.key, await invite(admin.key, network));
    const patch = (key: string, body: object) => call(`/api/v1/networks/${network}`, { method: "PATCH", key, body });
    const rates = { [MODEL]: { prompt: "0", completion: "1" } };
    expect((await patch(admin.key, { name: "Den", rates })).json).toMatchObject({
      name: "Den",
      rates: { [MODEL]: { prompt: "0.000000000", completion: "1.000000000" } },
    });
    expect((await patch(admin.key, {})).json.name).toBe("Den");
    expect((await patch(admin.key, { rates: { [MODEL]: null } })).json.rates).toEqual({});
    expect((await patch(member.key, { name: "Mine" })).json.code).toBe("not_network_admin");
    for (const [rate, param] of [
      [{ [MODEL]: { prompt: "0", completion: "0" } }, `rates.${MODEL}.completion`],
      [{ [MODEL]: { prompt: "0", completion: "1.000000001" } }, `rates.${MODEL}.completion`],
      [{ [MODEL]: { prompt: "-1", completion: "1" } }, `rates.${MODEL}.prompt`],
      [{ unknown: { prompt: "0", completion: "1" } }, "rates.unknown"],
    ] as const) {
      const { status, json } = await patch(admin.key, { rates: rate });
      expect([status, json.param]).toEqual([json.code === "model_not_found" ? 404 : 400, param]);
    }
  });

  it("is for others as if it were not there, whatever they ask", async () => {
    const [admin, other] = [await open(), await open()];
    const network = await makeNetwork(admin.key);
    const nowhere = "0R7uXmQ2b1vXkYt3Zp9aLc";
    const asks = (id: string) =>
      Promise.all([
        call(`/api/v1/networks/${id}`, { key: other.key }),
        call(`/api/v1/networks/${id}`, { method: "PATCH", key: other.key, body: {} }),
        call(`/api/v1/networks/${id}`, { method: "DELETE", key: other.key }),
        call(`/api/v1/networks/${id}/members`, { key: other.key }),
        remove(other.key, id, "me"),
        remove(other.key, id, idOf(admin)),
        call(`/api/v1/networks/${id}/invites`, { key: other.key }),
        call(`/api/v1/networks/${id}/invites`, { key: other.key, body: {} }),
        call(`/api/v1/networks/${id}/invites/${nowhere}`, { method: "DELETE", key: other.key }),
        ...["/v1/chat/completions", "/api/v1/estimate"].map((path) =>
          call(path, {
            key: other.key,
            body: { model: MODEL, network: id, messages: [{ role: "user", content: "Hi" }] },
          }),
        ),
      ]);
    const [there, not] = [await asks(network), await asks(nowhere)];
    expect(there.map(({ text }) => text)).toEqual(not.map(({ text }) => text));
    const codes = there.map(({ status, json }) => [status, json.code ?? json.error.code]);
    expect(codes).toEqual(there.map(() => [404, "network_not_found"]));
    expect(await list(other.key)).toEqual([]);
    expect((await call("/v1/models", { key: other.key })).text).not.toContain("0.000000123457");
  });

  it("that is closed ends for everybody, and for good", async () => {
    const [admin, member] = [await open(), await open()];
    const network = await makeNetwork(admin.key);
    const token = await invite(admin.key, network, { uses: 2 });
    await join(member.key, token);
    const close = (key: string) => call(`/api/v1/networks/${network}`, { method: "DELETE", key });
    expect((await close(member.key)).json.code).toBe("not_network_admin");
    const closed = (await close(admin.key)).json;
    expect(closed.closed_at).toEqual(expect.any(String));
    expect((await close(admin.key)).json).toEqual(closed);
    expect([await list(admin.key), await list(member.key)]).toEqual([[], []]);
    expect((await join((await open()).key, token)).json.code).toBe("invalid_invite");
  });

  it("asks a key for the scope, as everything does", async () => {
    const { key } = await open();
    const network = await makeNetwork(key);
    const { key: reader } = (await call("/api/v1/keys", { key, body: { name: "r", scopes: ["read"] } })).json;
    expect((await call(`/api/v1/networks/${network}`, { key: reader })).status).toBe(200);
    for (const [path, method] of [
      ["", "PATCH"],
      ["", "DELETE"],
      ["/members/me", "DELETE"],
      ["/invites", "POST"],
    ] as const) {
      const body = method === "DELETE" ? undefined : {};
      const { json } = await call(`/api/v1/networks/${network}${path}`, { method, key: reader, body });
      expect(json.code).toBe("forbidden");
    }
    expect((await call("/api/v1/networks", { key: reader, body: { name: "x" } })).json.code).toBe("forbidden");
    expect((await join(reader, await invite(key, network))).json.code).toBe("forbidden");
  });

  it("is one of as many as an account may have", async () => {
    const { key } = await open();
    for (let i = 0; i < 16; i++) await makeNetwork(key);
    expect((await call("/api/v1/networks", { key, body: { name: "x" } })).json.code).toBe("network_limit");
  });
});

describe("an invite", () => {
  it("lets in as many as it says, however many come at once", async () => {
    const admin = await open();
    const network = await makeNetwork(admin.key);
    const token = await invite(admin.key, network, { uses: 3, name: "the lab" });
    expect(token).toMatch(new RegExp(`^tmn_${network}`));
    const comers = await Promise.all(Array.from({ length: 8 }, open));
    const joined = await Promise.all(comers.map(({ key }) => join(key, token)));
    expect(joined.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(joined.filter(({ json }) => json.code === "invite_used")).toHaveLength(5);
    const invites = (await call(`/api/v1/networks/${network}/invites`, { key: admin.key })).json.data;
    expect(invites).toMatchObject([{ uses: 3, used: 3, name: "the lab" }]);
    expect((await members(admin.key, network)).data).toHaveLength(4);
    // Who leaves does not give a use back.
    const left = comers[joined.findIndex(({ status }) => status === 201)];
    expect((await remove(left?.key ?? "", network, "me")).status).toBe(200);
    expect((await join((await open()).key, token)).json.code).toBe("invite_used");
  });

  it("lets nobody in twice, and takes no use from who is in", async () => {
    const [admin, member] = [await open(), await open()];
    const network = await makeNetwork(admin.key);
    const token = await invite(admin.key, network, { uses: 2 });
    const same = await Promise.all([1, 2, 3].map(() => join(member.key, token, "Ada")));
    expect(same.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 201]);
    expect((await join(admin.key, token)).json).toMatchObject({ joined: false, network: { id: network, admin: true } });
    expect((await call(`/api/v1/networks/${network}/invites`, { key: admin.key })).json.data[0].used).toBe(1);
    expect((await members(member.key, network)).data).toMatchObject([
      { id: idOf(admin), name: null, admin: true, you: false },
      { id: idOf(member), name: "Ada", admin: false, you: true },
    ]);
  });

  it("is the very same one for the same call", async () => {
    const { key } = await open();
    const network = await makeNetwork(key);
    const make = (body: object) => call(`/api/v1/networks/${network}/invites`, { key, body });
    const first = await make({ id: "one" });
    expect((await make({ id: "one" })).json).toEqual(first.json);
    expect((await make({ id: "one", uses: 2 })).json.code).toBe("id_conflict");
    const stored = await env.DB.prepare("SELECT * FROM network_invites").all();
    expect(JSON.stringify(stored.results)).not.toContain(first.json.token.slice(26));
  });

  it("counts no longer than it says, nor once it is revoked", async () => {
    const admin = await open();
    const network = await makeNetwork(admin.key);
    const path = `/api/v1/networks/${network}/invites`;
    const short = (await call(path, { key: admin.key, body: { expires_at: new Date(Date.now() + 60_000) } })).json;
    const long = (await call(path, { key: admin.key, body: {} })).json;
    for (const days of [-1, 31]) {
      const expires_at = new Date(Date.now() + days * 86_400_000);
      expect((await call(path, { key: admin.key, body: { expires_at } })).json.param).toBe("expires_at");
    }
    const revoked = await call(`${path}/${long.id}`, { method: "DELETE", key: admin.key });
    expect(revoked.json.revoked_at).toEqual(expect.any(String));
    expect((await call(`${path}/${long.id}`, { method: "DELETE", key: admin.key })).json).toEqual(revoked.json);
    expect((await join((await open()).key, long.token)).json.code).toBe("invalid_invite");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });
    expect((await join((await open()).key, short.token)).json.code).toBe("invite_expired");
  });

  it("that is forged touches no object, and asks nothing of D1", async () => {
    const { key } = await open();
    const network = await makeNetwork(key);
    const token = await invite(key, network);
    const { bindings, uses } = forbiddenObjects();
    const forged = token.slice(0, -1) + (token.endsWith("a") ? "b" : "a");
    for (const each of [forged, `tmn_${key.slice(3)}`, key]) {
      const body = { token: each };
      const { status, json } = await callWith({ ...bindings, DB: undefined as never }, "/api/v1/networks/join", {
        key,
        body,
      });
      expect([status, json.code]).toEqual([401, "invalid_invite"]);
    }
    expect(uses).toEqual([]);
  });

  it("is bounded in its tries", async () => {
    const { key } = await open();
    const limit = ({ key: tried }: RateLimitOptions) => Promise.resolve({ success: tried !== "address/192.0.2.1" });
    const headers = { "cf-connecting-ip": "192.0.2.1" };
    const { status } = await callWith({ JOIN_LIMIT: { limit } }, "/api/v1/networks/join", {
      key,
      body: { token: "tmn_guess" },
      headers,
    });
    expect(status).toBe(429);
  });
});

describe("a member", () => {
  it("that was removed comes back by a newer invite only", async () => {
    const [admin, member] = [await open(), await open()];
    const network = await makeNetwork(admin.key);
    const token = await invite(admin.key, network, { uses: 9 });
    await join(member.key, token);
    expect((await remove(member.key, network, idOf(admin))).json.code).toBe("not_network_admin");
    const removed = (await remove(admin.key, network, idOf(member))).json;
    expect(removed).toEqual({ id: idOf(member), ended_at: expect.any(String) });
    expect((await remove(admin.key, network, idOf(member))).json).toEqual(removed);
    expect((await call(`/api/v1/networks/${network}`, { key: member.key })).json.code).toBe("network_not_found");
    const again = await join(member.key, token);
    expect([again.status, again.json.code]).toEqual([401, "invalid_invite"]);
    expect(again.json.detail).toContain("older than the end");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1 });
    expect((await join(member.key, await invite(admin.key, network))).status).toBe(201);
    expect((await members(admin.key, network)).data).toHaveLength(2);
  });

  it("leaves when it likes, but the admin stays", async () => {
    const [admin, member] = [await open(), await open()];
    const network = await makeNetwork(admin.key);
    await join(member.key, await invite(admin.key, network));
    const left = await remove(member.key, network, "me");
    expect(left.json.id).toBe(idOf(member));
    expect((await remove(member.key, network, "me")).json).toEqual(left.json);
    for (const me of ["me", idOf(admin)]) {
      const { status, json } = await remove(admin.key, network, me);
      expect([status, json.code]).toEqual([409, "admin_stays"]);
    }
    const nobody = await remove(admin.key, network, "0R7uXmQ2b1vXkYt3Zp9aLc");
    expect([nobody.status, nobody.json.code]).toEqual([404, "network_member_not_found"]);
  });
});
