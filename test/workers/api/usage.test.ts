import { env } from "cloudflare:workers";
import { expect, it, onTestFinished } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { parseApiKey } from "../../../protocol/api-key.ts";
import { configOf } from "../../../workers/config.ts";
import { call, holdJob, openAccount, settleJob, type TestAccount } from "./support.ts";

const usage = ({ key }: Pick<TestAccount, "key">, query = "") => call(`/api/v1/usage${query}`, { key });

const ROW = {
  name: null,
  jobs: 2,
  completed: 2,
  cancelled: 0,
  failed: 0,
  unanswered: 0,
  prompt_tokens: 200,
  completion_tokens: 2_000,
  credits: "164.000",
  usd: "0.000164000",
};

async function withJobs(): Promise<TestAccount> {
  const account = await openAccount();
  for (let i = 0; i < 2; i++) await settleJob(account, await holdJob(account));
  return account;
}

/** Lets pages end after a few entries. */
function withSmallPages(): void {
  const { usageRows, usageCalls } = LIMITS;
  Object.assign(LIMITS, { usageRows: 2, usageCalls: 2 });
  onTestFinished(() => void Object.assign(LIMITS, { usageRows, usageCalls }));
}

it("sums up the last thirty days by day, unless it is asked otherwise", async () => {
  const account = await withJobs();
  const { status, json, headers } = await usage(account);
  expect(status).toBe(200);
  const today = new Date().toISOString().slice(0, 10);
  expect(json).toEqual({
    by: "day",
    from: expect.stringMatching(/T00:00:00\.000Z$/),
    to: null,
    data: [{ group: today, ...ROW }],
    next: null,
  });
  expect(Date.now() - Date.parse(json.from)).toBeGreaterThan(30 * 86_400_000 - 1);
  expect(headers.get("cache-control")).toBe("no-store");
  expect((await usage(account, "?from=2020-01-01&to=2020-02-01T00:00:00%2B01:00")).json).toMatchObject({
    from: "2020-01-01T00:00:00.000Z",
    to: "2020-01-31T23:00:00.000Z",
    data: [],
  });
});

it("names keys, and lanes and models as they are", async () => {
  const account = await withJobs();
  const { json: keys } = await call("/api/v1/keys", { key: account.key });
  expect((await usage(account, "?by=key")).json.data).toEqual([{ group: keys.data[0].id, ...ROW, name: "test" }]);
  expect((await usage(account, "?by=lane")).json.data).toEqual([{ group: "public", ...ROW }]);
  expect((await usage(account, "?by=model")).json.data).toEqual([{ group: "maker/eight", ...ROW }]);
});

it("gives the same rows for spreadsheets, and lets no name become a formula", async () => {
  const account = await openAccount();
  const made = await call("/api/v1/keys", { key: account.key, body: { name: '=1+"2"' } });
  const secretHash = parseApiKey(made.json.key, configOf(env).edgeKey)?.secretHash ?? "";
  await settleJob(account, await holdJob({ ...account, secretHash }));
  const { text, headers } = await usage(account, "?by=key&format=csv");
  expect(headers.get("content-type")).toBe("text/csv; charset=utf-8");
  expect(text.split("\r\n")).toEqual([
    "key,name,jobs,completed,cancelled,failed,unanswered,prompt_tokens,completion_tokens,credits,usd",
    `${made.json.id},"'=1+""2""",1,1,0,0,0,100,1000,82.000,0.000082000`,
    "",
  ]);
});

it("ends a page after a bounded number of entries, and says where the next one begins", async () => {
  const account = await openAccount();
  for (let i = 0; i < 5; i++) await settleJob(account, await holdJob(account));
  withSmallPages();
  // The starter balance is the first entry, so the first page has three jobs and the second one two.
  const first = await usage(account, "?by=lane");
  expect([first.json.next, first.json.data[0].jobs]).toEqual([5, 3]);
  const second = await usage(account, `?by=lane&cursor=${first.json.next}`);
  expect([second.json.next, second.json.data[0].jobs]).toEqual([null, 2]);
  const csv = await usage(account, "?by=lane&format=csv");
  const [, link = ""] = /^<(.*)>; rel="next"$/.exec(csv.headers.get("link") ?? "") ?? [];
  const rest = await call(link, { key: account.key });
  expect(rest.text).toMatch(/^public,,2,2,/m);
  expect(rest.headers.get("link")).toBeNull();
});

it("shows one account nothing of another, and a key without `read` nothing at all", async () => {
  const account = await withJobs();
  expect((await usage(await openAccount("other"))).json.data).toEqual([]);
  const body = { name: "app", scopes: ["inference"] };
  const made = await call("/api/v1/keys", { key: account.key, body });
  const { status, json } = await usage(made.json);
  expect([status, json.code]).toEqual([403, "forbidden"]);
});

it.each([
  ["?by=hour", "by"],
  ["?from=yesterday", "from"],
  ["?to=2026-13-01", "to"],
  ["?from=2026-11-02&to=2026-11-01", "to"],
  ["?format=xml", "format"],
  ["?cursor=-1", "cursor"],
])("refuses %s by its parameter", async (query, param) => {
  const { status, json } = await usage(await openAccount(), query);
  expect([status, json.code, json.param]).toEqual([400, "invalid_request", param]);
});
