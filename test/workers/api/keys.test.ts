import { expect, it } from "vitest";
import { ADMIN, call, openAccount } from "./support.ts";

const MODEL = {
  id: "m",
  name: "M",
  parameters_in_millions: 8_000,
  quantization: "q4",
  context_length: 8_192,
  completion_default: 1_000,
  completion_max: 4_096,
  rates: null,
  prompt_bytes_per_token_hundredths: 100,
  prompt_tokens_per_message: 8,
  prompt_tokens_per_image: 1_000,
  min_bytes_per_token_hundredths: 100,
  lanes: ["public"],
  created: 1_796_000_000_000,
};

it("makes a key that works, and shows its text once", async () => {
  const { key, account } = await openAccount();
  const made = await call("/api/v1/keys", { key, body: { name: "laptop", scopes: ["manage"] } });
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

it("gives a key what it was made for, and nothing else", async () => {
  const { key } = await openAccount();
  const made = await call("/api/v1/keys", { key, body: { name: "app" } });
  expect(made.json).toMatchObject({ scopes: ["inference", "read"], models: null, budget: null, expires_at: null });
  const own = made.json.key;
  expect((await call("/api/v1/balance", { key: own })).status).toBe(200);
  const denied = await call("/api/v1/keys", { key: own, body: { name: "more" } });
  expect([denied.status, denied.json.code]).toEqual([403, "forbidden"]);
  expect(denied.json.detail).toContain("`manage`");
  const reader = await call("/api/v1/keys", { key, body: { name: "r", scopes: ["read"] } });
  await call("/api/v1/admin/models/m", { method: "PUT", key: ADMIN, body: MODEL });
  const chat = { model: "m", messages: [{ role: "user", content: "Hi" }] };
  expect((await call("/api/v1/jobs/0R7uXmQ2b1vXkYt3Zp9aLc", { key: reader.json.key })).json.code).toBe("job_not_found");
  expect((await call("/api/v1/estimate", { key: own, body: chat })).status).toBe(200);
  expect((await call("/api/v1/estimate", { key: reader.json.key, body: chat })).json.code).toBe("forbidden");
  const maker = await call("/api/v1/keys", { key, body: { name: "m", scopes: ["manage"] } });
  const wide = await call("/api/v1/keys", { key: maker.json.key, body: { name: "w", scopes: ["transfer"] } });
  expect([wide.status, wide.json.code, wide.json.param]).toEqual([403, "forbidden", "scopes"]);
});

it("refuses a key from its expiry on, and says why", async () => {
  const { key } = await openAccount();
  const expires_at = new Date(Date.now() + 400).toISOString();
  const made = await call("/api/v1/keys", { key, body: { name: "short", expires_at } });
  expect((await call("/api/v1/balance", { key: made.json.key })).status).toBe(200);
  await new Promise((resolve) => setTimeout(resolve, 450));
  const { status, json } = await call("/api/v1/balance", { key: made.json.key });
  expect([status, json.code]).toEqual([401, "key_expired"]);
});

it("changes what is named of a key, and takes bounds away with null", async () => {
  const { key } = await openAccount();
  const made = await call("/api/v1/keys", {
    key,
    body: { name: "app", models: ["b", "a", "b"], budget: { usd: "25", reset: "monthly" }, requests_per_minute: 9 },
  });
  expect(made.json).toMatchObject({
    models: ["a", "b"],
    requests_per_minute: 9,
    budget: { usd: "25.000000000", reset: "monthly", spent_usd: "0.000000000", held_usd: "0.000000000" },
  });
  const path = `/api/v1/keys/${made.json.id}`;
  const patch = (body: object) => call(path, { method: "PATCH", key, body });
  expect((await patch({ name: "new", budget: { usd: "1", reset: "daily" } })).json).toMatchObject({
    name: "new",
    models: ["a", "b"],
    budget: { usd: "1.000000000", reset: "daily" },
  });
  expect((await patch({ models: null, budget: null, requests_per_minute: null })).json).toMatchObject({
    name: "new",
    models: null,
    budget: null,
    requests_per_minute: null,
  });
  expect((await patch({ budget: { usd: "-1" } })).json).toMatchObject({ code: "invalid_request", param: "budget.usd" });
  await call(path, { method: "DELETE", key });
  expect((await patch({ name: "late" })).json.code).toBe("key_not_found");
});

it("rotates a key once for each id: the old text is taken until the overlap ends", async () => {
  const { key } = await openAccount();
  const made = await call("/api/v1/keys", { key, body: { name: "app" } });
  const rotate = (body: object) => call(`/api/v1/keys/${made.json.id}/rotate`, { key, body });
  const works = async (text: string) => (await call("/api/v1/balance", { key: text })).status === 200;
  const first = await rotate({ id: "one", overlap_seconds: 3_600 });
  expect(first.json).toMatchObject({ id: made.json.id, name: "app", notice: null });
  expect(first.json.key).not.toBe(made.json.key);
  expect(await Promise.all([made.json.key, first.json.key].map(works))).toEqual([true, true]);
  const again = await rotate({ id: "one", overlap_seconds: 0 });
  expect([again.json.key, again.json.notice !== null]).toEqual([null, true]);
  // Another rotation ends the overlap of the one before, and its own is over at once.
  const second = await rotate({ id: "two", overlap_seconds: 0 });
  expect(await Promise.all([made.json.key, first.json.key, second.json.key].map(works))).toEqual([false, false, true]);
  const { json } = await call("/api/v1/keys", { key });
  expect(json.data).toHaveLength(2);
  expect(JSON.stringify(json)).not.toContain("tm_");
});

it("lets no key give itself, or take from another, what it does not have", async () => {
  const { key } = await openAccount();
  const make = (by: string, body: object) => call("/api/v1/keys", { key: by, body });
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  const manager = (await make(key, { name: "manager", scopes: ["manage"], expires_at })).json;
  const [first] = (await call("/api/v1/keys", { key })).json.data as [{ id: string }];
  const by = (path: string, method: string, body?: object) =>
    call(`/api/v1/keys/${path}`, { method, key: manager.key, ...(body === undefined ? {} : { body }) });
  const denied = await Promise.all([
    by(`${first.id}/rotate`, "POST", { overlap_seconds: 0 }),
    by(first.id, "PATCH", { name: "mine" }),
    by(first.id, "DELETE"),
    // Its own bounds, and another key's beyond them.
    by(manager.id, "PATCH", { expires_at: null }),
    make(manager.key, { name: "longer", scopes: ["manage"] }),
    make(manager.key, { name: "wider", scopes: ["inference"], expires_at }),
  ]);
  expect(denied.map(({ status, json }) => [status, json.code])).toEqual(denied.map(() => [403, "forbidden"]));
  expect((await call("/api/v1/balance", { key })).status).toBe(200);
  expect((await make(manager.key, { name: "as long", scopes: ["manage"], expires_at })).status).toBe(201);
  expect((await by(`${manager.id}/rotate`, "POST", {})).json.key).toMatch(/^tm_/);
  // A budget would not bind who can make keys without one.
  const bound = await make(key, { name: "b", scopes: ["inference", "manage"], budget: { usd: "1" } });
  expect([bound.status, bound.json.param]).toEqual([400, "budget"]);
});

it("knows a call that made or rotated a key, whatever happened to the key since", async () => {
  const { key } = await openAccount();
  const make = () => call("/api/v1/keys", { key, body: { name: "ci", id: "ci" } });
  const made = (await make()).json;
  await call(`/api/v1/keys/${made.id}`, { method: "PATCH", key, body: { name: "new name" } });
  expect((await make()).json).toMatchObject({ id: made.id, name: "new name", key: null });
  const rotate = (id: string) => call(`/api/v1/keys/${made.id}/rotate`, { key, body: { id, overlap_seconds: 0 } });
  await rotate("a");
  const { json } = await rotate("b");
  expect((await rotate("a")).json.key).toBeNull();
  expect((await call("/api/v1/balance", { key: json.key })).status).toBe(200);
});

it("takes only well-formed text", async () => {
  const { key } = await openAccount();
  const { status, json } = await call("/api/v1/keys", { key, body: '{"name":"\\ud800"}' });
  expect([status, json.param]).toEqual([400, "name"]);
});
