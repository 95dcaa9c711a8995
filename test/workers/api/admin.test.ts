import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { hashText } from "../../../core/receipt/canonical.ts";
import { addDeadLetters } from "../../../db/dead-letters.ts";
import { pseudonymOf } from "../../../workers/auth.ts";
import { configOf } from "../../../workers/config.ts";
import { ADMIN, call, callWith, openAccount } from "./support.ts";

const MODEL = {
  id: "maker/eight",
  name: "Eight",
  parameters_in_millions: 8_000,
  quantization: "q4",
  context_length: 8_192,
  completion_default: 1_024,
  completion_max: 4_096,
  rates: null,
  prompt_bytes_per_token_hundredths: 100,
  prompt_tokens_per_message: 8,
  prompt_tokens_per_image: 1_000,
  min_bytes_per_token_hundredths: 100,
  lanes: ["public"],
  created: 1_796_000_000_000,
};
const put = (id: string, body: object) => call(`/api/v1/admin/models/${id}`, { method: "PUT", key: ADMIN, body });
const credit = (account: string, body: object) =>
  call(`/api/v1/admin/accounts/${account}/credits`, { key: ADMIN, body });

describe("the operator's key", () => {
  it.each(["", "x", "test-admin-ke", "test-admin-keyy", "TEST-ADMIN-KEY"])("is not %j", async (key) => {
    const { status, json } = await call("/api/v1/admin/dead-letters", { key });
    expect(status).toBe(401);
    expect(json.code).toBe(key === "" ? "missing_api_key" : "invalid_api_key");
  });
});

describe("the catalog", () => {
  it("takes a model, and takes it again", async () => {
    const first = await put("maker%2Feight", MODEL);
    expect([first.status, first.json]).toEqual([200, MODEL]);
    expect((await put("maker%2Feight", { ...MODEL, name: "Eight B" })).json.name).toBe("Eight B");
    // The status may be a second old.
    const models = async () => (await call("/api/v1/status")).json.models;
    const shown = [{ id: "maker/eight", daemons: 0, slots: 0, free: 0, waiting: 0 }];
    await expect.poll(models, { timeout: 3_000 }).toEqual(shown);
  });

  it.each([
    ["other", MODEL, "id"],
    ["maker%2Feight", { ...MODEL, quantization: "q5" }, "quantization"],
    ["maker%2Feight", { ...MODEL, lanes: [] }, "lanes"],
    ["maker%2Feight", { ...MODEL, rates: { completion_nano_usd_per_1k: 1 } }, "rates.prompt_nano_usd_per_1k"],
    ["maker%2Feight", { ...MODEL, parameters_in_millions: 0.5 }, "parameters_in_millions"],
    ["Maker%2FEight", { ...MODEL, id: "Maker/Eight" }, "id"],
  ])("refuses %s %j", async (id, body, param) => {
    const { status, json } = await put(id, body);
    expect([status, json.code, json.param]).toEqual([400, "invalid_request", param]);
  });
});

describe("accounts", () => {
  const open = (id: string) =>
    call("/api/v1/admin/accounts", {
      key: ADMIN,
      body: { name: "dev", starter: true },
      headers: { "idempotency-key": id },
    });

  it("are opened once for an id, with the very same key each time", async () => {
    const answers = await Promise.all([open("dev"), open("dev"), open("dev")]);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    const keys = new Set(answers.map(({ json }) => `${json.account} ${json.api_key}`));
    expect(keys.size).toBe(1);
    const { json } = await call("/api/v1/balance", { key: answers[0]?.json.api_key });
    expect(json.available).toBe("1200.000");
    expect((await open("other")).json.account).not.toBe(answers[0]?.json.account);
  });

  it("give no key that is refused, and the same one for as long as it is taken", async () => {
    const { account, api_key: first } = (await open("dev")).json;
    const { id } = (await call("/api/v1/keys", { key: first })).json.data[0];
    const rotated = await call(`/api/v1/keys/${id}/rotate`, { key: first, body: { overlap_seconds: 600 } });
    expect((await open("dev")).json).toEqual({ account, api_key: first, notice: null, opened: false });
    await call(`/api/v1/keys/${id}`, { method: "DELETE", key: rotated.json.key });
    const { status, json, text } = await open("dev");
    expect([status, json]).toMatchObject([200, { account, api_key: null, opened: false }]);
    expect(json.notice).toContain("revoked");
    expect(text).not.toContain("tm_");
  });

  it("are different ones where no id is given", async () => {
    const post = () => call("/api/v1/admin/accounts", { key: ADMIN, body: { name: "dev" } });
    const [a, b] = [await post(), await post()];
    expect([a.status, b.status]).toEqual([201, 201]);
    expect(a.json.account).not.toBe(b.json.account);
    expect((await call("/api/v1/balance", { key: a.json.api_key })).json.available).toBe("0.000");
  });

  it("are listed by the name that receipts call them by, before they are opened", async () => {
    const rows = async () => (await env.DB.prepare("SELECT id, pseudonym FROM accounts").all()).results;
    const away = { getByName: () => ({ open: () => Promise.reject(new Error("away")) }) } as unknown as Env["ACCOUNT"];
    const body = { name: "dev", id: "dev" };
    expect((await callWith({ ACCOUNT: away }, "/api/v1/admin/accounts", { key: ADMIN, body })).status).toBe(500);
    const listed = await rows();
    const { account } = (await open("dev")).json;
    expect(listed).toEqual([{ id: account, pseudonym: pseudonymOf(account, configOf(env)) }]);
    expect(await rows()).toEqual(listed);
  });
});

describe("credits", () => {
  it("are given once for an id", async () => {
    const { account, key } = await openAccount("a", false);
    const bonus = {
      id: "b-1",
      kind: "bonus",
      amount: "12.345",
      expires_at: "2999-01-01T00:00:00+02:00",
      memo: "hello",
    };
    const first = await credit(account, bonus);
    const again = await credit(account, bonus);
    expect([first.status, first.json, again.json]).toEqual([200, { seq: 1 }, { seq: 1 }]);
    expect((await credit(account, { id: "t-1", kind: "topup", amount: "0.000000001" })).json).toEqual({ seq: 2 });
    const { json } = await call("/api/v1/balance", { key });
    expect(json.lots).toEqual([
      expect.objectContaining({ id: "b-1", available: "12.345", expires_at: "2998-12-31T22:00:00.000Z" }),
      expect.objectContaining({ id: "t-1", backing: "usdc", available: "0.001", expires_at: null }),
    ]);
    const other = await credit(account, { ...bonus, amount: "99" });
    expect([other.status, other.json.code]).toEqual([409, "id_conflict"]);
  });

  it.each([
    [{ amount: "0" }, "amount"],
    [{ amount: "-1" }, "amount"],
    [{ amount: "1.2345" }, "amount"],
    [{ amount: 5 }, "amount"],
    [{ amount: "1e3" }, "amount"],
    [{ amount: "9".repeat(16) }, "amount"],
    [{ kind: "earned" }, "kind"],
    [{ id: "" }, "id"],
    [{ expires_at: "tomorrow" }, "expires_at"],
    [{ backing: "usdc" }, "backing"],
  ])("are refused where %j", async (change, param) => {
    const { account } = await openAccount();
    const { status, json } = await credit(account, { id: "x", kind: "bonus", amount: "1", ...change });
    expect([status, json.code, json.param]).toEqual([400, "invalid_request", param]);
  });

  it("need an account that was opened", async () => {
    const { status, json } = await credit("0000000000000000000000", { id: "x", kind: "bonus", amount: "1" });
    expect([status, json.code]).toEqual([404, "account_not_found"]);
  });
});

describe("dead letters", () => {
  it("come newest first, in pages", async () => {
    const letters = ["a", "b", "c"].map((id, i) => ({ id, at: 1_796_000_000_000 + i, reason: "poison", item: "{}" }));
    await addDeadLetters(env.DB, letters);
    const first = await call("/api/v1/admin/dead-letters?limit=2", { key: ADMIN });
    expect(first.json.data.map(({ id }: { id: string }) => id)).toEqual(["c", "b"]);
    expect(first.json.data[0]).toMatchObject({ reason: "poison", item: "{}", resolved_at: null });
    const second = await call(`/api/v1/admin/dead-letters?limit=2&cursor=${first.json.next}`, { key: ADMIN });
    expect(second.json.data.map(({ id }: { id: string }) => id)).toEqual(["a"]);
    expect(second.json.next).toBeNull();
    // The status may be a second old.
    const count = async () => (await call("/api/v1/status")).json.dead_letters;
    await expect.poll(count, { timeout: 3_000 }).toEqual({ count: 3 });
  });

  it("leave the list once they are resolved, however often that is said", async () => {
    const [id, other] = [hashText("a"), hashText("b")];
    const letter = { at: 1_796_000_000_000, reason: "poison", item: "{}" };
    await addDeadLetters(env.DB, [
      { id, ...letter },
      { id: other, ...letter },
    ]);
    const resolve = (of: string) => call(`/api/v1/admin/dead-letters/${of}/resolve`, { method: "POST", key: ADMIN });
    const first = await resolve(id);
    expect(first.status).toBe(200);
    expect(first.json).toMatchObject({ id, item: "{}", resolved_at: expect.stringMatching(/Z$/) });
    expect((await resolve(id)).json).toEqual(first.json);
    const { json } = await call("/api/v1/admin/dead-letters", { key: ADMIN });
    expect(json.data.map((open: { id: string }) => open.id)).toEqual([other]);
    const unknown = await resolve(hashText("c"));
    expect([unknown.status, unknown.json.code]).toEqual([404, "dead_letter_not_found"]);
    expect((await resolve("a")).json).toMatchObject({ code: "invalid_request", param: "id" });
  });

  it("refuse a cursor that is none", async () => {
    const { status, json } = await call("/api/v1/admin/dead-letters?cursor=x", { key: ADMIN });
    expect([status, json.code, json.param]).toEqual([400, "invalid_request", "cursor"]);
  });
});
