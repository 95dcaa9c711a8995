import { exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { keyOf } from "../../support/receipts.ts";
import { call, ORIGIN, openAccount, type TestAccount } from "./support.ts";

const daemon = (name: string) => ({ public_key: keyOf(name).id, name, payout: "credits", tier: "desktop" });
const enrol = ({ key }: TestAccount, body: object) => call("/api/v1/daemons", { key, body });

describe("enrolling", () => {
  it("makes a daemon once, however often it is asked to", async () => {
    const account = await openAccount();
    const first = await enrol(account, daemon("attic"));
    expect(first.status).toBe(201);
    expect(first.json).toEqual({
      id: keyOf("attic").id,
      account: account.account,
      name: "attic",
      payout: "credits",
      tier: "desktop",
      created_at: expect.stringMatching(/Z$/),
      drained_at: null,
      connected: false,
      state: "offline",
      connection: null,
    });
    // A repetition in the very millisecond of the first call could pass for it.
    await new Promise((resolve) => setTimeout(resolve, 2));
    const again = await enrol(account, daemon("attic"));
    expect([again.status, again.json]).toEqual([200, first.json]);
    const renamed = await enrol(account, { ...daemon("attic"), name: "cellar" });
    expect([renamed.status, renamed.json]).toEqual([200, { ...first.json, name: "cellar" }]);
  });

  it("refuses a key of another account", async () => {
    const [a, b] = [await openAccount("a"), await openAccount("b")];
    await enrol(a, daemon("attic"));
    const { status, json } = await enrol(b, daemon("attic"));
    expect([status, json.code, json.param]).toEqual([409, "id_conflict", "public_key"]);
    expect((await call(`/api/v1/daemons/${keyOf("attic").id}`, { key: a.key })).json.account).toBe(a.account);
  });

  it.each([
    // Base58 of 01 00…00, for which one signature fits every message, and of 32 zeros.
    "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKj",
    "1".repeat(32),
    // 32 bytes of ones: not canonical.
    "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG",
    // Well-formed base58, but of 31 bytes.
    "2".repeat(42),
  ])("refuses the weak key %s", async (public_key) => {
    const { status, json } = await enrol(await openAccount(), { ...daemon("x"), public_key });
    expect([status, json.code, json.param]).toEqual([400, "weak_public_key", "public_key"]);
  });

  it.each([
    [{ public_key: "0OIl" }, "public_key"],
    [{ name: "" }, "name"],
    [{ payout: "dollars" }, "payout"],
    [{ tier: "toaster" }, "tier"],
    [{ watts: 10 }, "watts"],
  ])("refuses %j by its parameter", async (change, param) => {
    const { status, json } = await enrol(await openAccount(), { ...daemon("x"), ...change });
    expect([status, json.code, json.param]).toEqual([400, "invalid_request", param]);
  });
});

describe("listing", () => {
  it("gives the account's own in pages", async () => {
    const [a, b] = [await openAccount("a"), await openAccount("b")];
    for (const name of ["one", "two", "three"]) await enrol(a, daemon(name));
    await enrol(b, daemon("four"));
    const first = await call("/api/v1/daemons?limit=2", { key: a.key });
    const second = await call(`/api/v1/daemons?limit=2&cursor=${first.json.next}`, { key: a.key });
    const ids = [...first.json.data, ...second.json.data].map(({ id }: { id: string }) => id);
    expect(ids).toEqual(["one", "two", "three"].map((name) => keyOf(name).id).sort());
    expect(second.json.next).toBeNull();
  });

  it("knows no daemon of another account", async () => {
    const [a, b] = [await openAccount("a"), await openAccount("b")];
    await enrol(a, daemon("attic"));
    const { status, json } = await call(`/api/v1/daemons/${keyOf("attic").id}`, { key: b.key });
    expect([status, json.code]).toEqual([404, "daemon_not_found"]);
  });
});

describe("connecting", () => {
  const connect = (headers: Record<string, string>, query = `?daemon=${keyOf("attic").id}`) =>
    exports.default.fetch(new Request(`${ORIGIN}/api/v1/connect${query}`, { headers }));

  it("opens a socket to the daemon's relay, which asks for a proof", async () => {
    for (const upgrade of ["websocket", "WebSocket"]) {
      const response = await connect({ upgrade, "sec-websocket-protocol": "tollmill.v1" });
      expect(response.status).toBe(101);
      expect(response.headers.get("x-request-id")).toMatch(/^req_/);
      const socket = response.webSocket;
      if (socket === null) throw new Error("no socket");
      socket.accept();
      const message = new Promise<string>((resolve) => {
        socket.addEventListener("message", ({ data }) => resolve(String(data)), { once: true });
      });
      socket.send(JSON.stringify({ type: "hello", version: 1, daemon: keyOf("attic").id }));
      expect(JSON.parse(await message)).toMatchObject({ type: "challenge", origin: ORIGIN });
      socket.close(1000);
    }
  });

  it("says what the path is to whoever just calls it", async () => {
    const { status, json } = await call(`/api/v1/connect?daemon=${keyOf("attic").id}`);
    expect([status, json.code]).toEqual([426, "upgrade_required"]);
    expect(json.detail).toContain("tollmill.v1");
  });

  it.each(["", "?daemon=", "?daemon=0OIl", `?daemon=${"1".repeat(60)}`])("needs a daemon's id: %s", async (query) => {
    const response = await connect({ upgrade: "websocket" }, query);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: "invalid_request", param: "daemon" });
  });
});
