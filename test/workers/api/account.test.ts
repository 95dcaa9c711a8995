import { expect, it } from "vitest";
import { ENTRY_TYPES } from "../../../core/account/entry-types.ts";
import { GENESIS_HEAD } from "../../../core/account/state.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { ADMIN, call, holdJob, openAccount, settleJob, type TestAccount } from "./support.ts";

const ledger = (account: TestAccount, query = "") => call(`/api/v1/ledger${query}`, { key: account.key });

async function credit(account: TestAccount, body: object): Promise<void> {
  const { status } = await call(`/api/v1/admin/accounts/${account.account}/credits`, { key: ADMIN, body });
  expect(status).toBe(200);
}

it("shows the balance lot by lot, in decimal strings", async () => {
  const account = await openAccount();
  await credit(account, { id: "top", kind: "topup", amount: "5" });
  await holdJob(account);
  const { status, json } = await call("/api/v1/balance", { key: account.key });
  expect(status).toBe(200);
  // 1,000 completion tokens at 80 and 100 prompt tokens at 20 nanoUSD: 82 credits are held.
  expect(json).toMatchObject({
    available: "5001118.000",
    held: "82.000",
    minimum: "5.000",
    peg: { millicredits: 1, nano_usd: 1 },
    open_jobs: 1,
    packages: null,
    allotment: null,
  });
  expect(json.lots).toEqual([
    expect.objectContaining({ id: "starter", kind: "bonus", backing: "none", available: "1118.000", held: "82.000" }),
    { id: "top", kind: "topup", backing: "usdc", available: "5000000.000", held: "0.000", expires_at: null },
  ]);
  expect(json.lots[0].expires_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

it("gives the ledger in pages whose bodies form a chain", async () => {
  const account = await openAccount();
  for (let i = 0; i < 3; i++) await settleJob(account, await holdJob(account));
  const first = await ledger(account, "?limit=3");
  expect(first.json.next).toBe(4);
  const second = await ledger(account, `?limit=3&from=${first.json.next}`);
  expect(second.json.next).toBeNull();
  const entries = [...first.json.data, ...second.json.data];
  expect(entries.map(({ seq, type }: { seq: number; type: string }) => [seq, type])).toEqual([
    [1, "bonus"],
    [2, "spent"],
    [3, "spent"],
    [4, "spent"],
  ]);
  let head = GENESIS_HEAD;
  for (const { body } of entries) {
    expect(JSON.parse(body).previous).toBe(head);
    head = hashText(body);
  }
});

it.each(ENTRY_TYPES)("knows entries of type %s", async (type) => {
  expect((await ledger(await openAccount(), `?type=${type}`)).status).toBe(200);
});

it("filters the ledger by type", async () => {
  const account = await openAccount();
  await settleJob(account, await holdJob(account));
  const { json } = await ledger(account, "?type=spent");
  expect(json.data.map(({ seq }: { seq: number }) => seq)).toEqual([2]);
  expect((await ledger(account, "?type=earned")).json).toEqual({ data: [], next: null });
});

it("streams the whole ledger as lines that are the pages' entries", async () => {
  const account = await openAccount();
  for (let i = 0; i < 3; i++) await settleJob(account, await holdJob(account));
  const { json } = await ledger(account);
  const { text, headers } = await ledger(account, "?format=ndjson");
  expect(headers.get("content-type")).toBe("application/x-ndjson");
  const lines = text.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual(json.data);
  const part = await ledger(account, "?format=ndjson&from=2&limit=2");
  expect(part.text.trimEnd().split("\n")).toEqual(lines.slice(1, 3));
});

it("gives flat rows for spreadsheets, and lets no text become a formula", async () => {
  const account = await openAccount();
  await credit(account, { id: "gift", kind: "bonus", amount: "10.5", memo: '=HYPERLINK("x"), "quoted"' });
  await settleJob(account, await holdJob(account));
  const { text, headers } = await ledger(account, "?format=csv");
  expect(headers.get("content-type")).toBe("text/csv; charset=utf-8");
  const [head, starter, gift, spent, ...rest] = text.trimEnd().split("\r\n");
  expect(head).toBe(
    "seq,at,type,credits_in,credits_out,usd,kind,backing,job,outcome,lane,model,prompt_tokens,completion_tokens,memo,account",
  );
  expect(starter).toMatch(/^1,[^,]+Z,bonus,1200\.000,,,bonus,none,,,,,,,starter balance,$/);
  expect(gift).toMatch(/,bonus,10\.500,,,bonus,none,,,,,,,"'=HYPERLINK\(""x""\), ""quoted""",$/);
  expect(spent).toMatch(/,spent,,82\.000,0\.000082000,,,\w{22},completed,public,maker\/eight,100,1000,,$/);
  expect(rest).toEqual([]);
});

it("shows a void and an expiry for what they are", async () => {
  const account = await openAccount();
  await account.object.void(await holdJob(account), "consumer_gone");
  const { json } = await ledger(account, "?type=void");
  expect(JSON.parse(json.data[0].body)).toMatchObject({ type: "void", reason: "consumer_gone" });
  const { text } = await ledger(account, "?format=csv&type=void");
  expect(text).toContain("consumer_gone");
});

it("reads a ledger of many entries to its end, whatever few of them pass the filter", async () => {
  const account = await openAccount();
  for (let i = 0; i < 1_100; i++) {
    const command = { kind: "bonus", backing: "none", amount: 1_000, expiresAt: Date.now() + 1, memo: "" } as const;
    await account.object.credit({ ...command, id: `short ${i}` });
  }
  const { json } = await ledger(account, "?type=topup&limit=5");
  expect(json).toEqual({ data: [], next: null });
  const { text } = await ledger(account, "?format=ndjson");
  const seqs = text
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { seq: number }).seq);
  expect(seqs.length).toBeGreaterThan(1_100);
  expect(seqs).toEqual(seqs.map((_, index) => index + 1));
}, 30_000);

it.each([
  ["?format=xml", "format"],
  ["?from=-1", "from"],
  ["?from=1e3", "from"],
  ["?limit=0", "limit"],
  ["?limit=1001", "limit"],
  ["?limit=ten", "limit"],
  ["?type=a%20b", "type"],
  ["?type=nonsense", "type"],
])("refuses %s by its parameter", async (query, param) => {
  const { status, json } = await ledger(await openAccount(), query);
  expect([status, json.code, json.param]).toEqual([400, "invalid_request", param]);
});
