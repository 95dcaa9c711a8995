import { expect, it } from "vitest";
import { call, openAccount } from "./support.ts";

it("makes a key that works, and shows its text once", async () => {
  const { key, account } = await openAccount();
  const made = await call("/api/v1/keys", { key, body: { name: "laptop" } });
  expect(made.status).toBe(201);
  expect(made.json).toMatchObject({ name: "laptop", revoked_at: null, notice: null });
  expect(made.json.key).toMatch(new RegExp(`^tm_${account}[0-9A-Za-z]{49}$`));
  const { json } = await call("/api/v1/keys", { key: made.json.key });
  expect(json.data.map(({ name }: { name: string }) => name).sort()).toEqual(["laptop", "test"]);
  expect(JSON.stringify(json)).not.toContain("tm_");
});

it("makes one key however often a call with the same id comes, even at once", async () => {
  const { key } = await openAccount();
  const post = () => call("/api/v1/keys", { key, body: { name: "ci" }, headers: { "idempotency-key": "ci-1" } });
  const answers = await Promise.all([post(), post(), post(), post()]);
  const repeated = await post();
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(new Set([...answers, repeated].map(({ json }) => json.id)).size).toBe(1);
  const shown = [...answers, repeated].filter(({ json }) => json.key !== null);
  expect(shown).toHaveLength(1);
  expect((await call("/api/v1/balance", { key: shown[0]?.json.key })).status).toBe(200);
  expect(repeated.json.notice).toContain("new id");
  expect((await call("/api/v1/keys", { key })).json.data).toHaveLength(2);
});

it("takes the id from the body too, and refuses it for another name", async () => {
  const { key } = await openAccount();
  const first = await call("/api/v1/keys", { key, body: { name: "a", id: "one" } });
  const again = await call("/api/v1/keys", { key, body: { name: "a" }, headers: { "idempotency-key": "one" } });
  expect([first.status, again.status, again.json.id]).toEqual([201, 200, first.json.id]);
  const other = await call("/api/v1/keys", { key, body: { name: "b", id: "one" } });
  expect([other.status, other.json.code]).toEqual([409, "id_conflict"]);
});

it("keeps the ids of two accounts apart", async () => {
  const [a, b] = [await openAccount("a"), await openAccount("b")];
  const made = await Promise.all(
    [a, b].map(({ key }) => call("/api/v1/keys", { key, body: { name: "x", id: "same" } })),
  );
  expect(made.map(({ status }) => status)).toEqual([201, 201]);
  expect(made[0]?.json.id).not.toBe(made[1]?.json.id);
});

it("revokes a key for good, itself too", async () => {
  const { key } = await openAccount();
  const made = await call("/api/v1/keys", { key, body: { name: "gone" } });
  const revoke = (by: string) => call(`/api/v1/keys/${made.json.id}`, { method: "DELETE", key: by });
  const first = await revoke(made.json.key);
  expect(first.status).toBe(200);
  expect(first.json.revoked_at).not.toBeNull();
  expect((await call("/api/v1/balance", { key: made.json.key })).json.code).toBe("invalid_api_key");
  expect((await revoke(key)).json).toEqual(first.json);
});

it("knows no key of another account", async () => {
  const [a, b] = [await openAccount("a"), await openAccount("b")];
  const made = await call("/api/v1/keys", { key: a.key, body: { name: "mine" } });
  const { status, json } = await call(`/api/v1/keys/${made.json.id}`, { method: "DELETE", key: b.key });
  expect([status, json.code]).toEqual([404, "key_not_found"]);
  expect((await call("/api/v1/balance", { key: made.json.key })).status).toBe(200);
});
