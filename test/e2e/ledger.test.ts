/** An account's books as its owner keeps them: keys, jobs, a mirror of the ledger and sums of usage, all from the terminal. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { UsageRow } from "../../protocol/network/usage.ts";
import { testModel } from "../support/models.ts";
import type { ScriptedJob } from "../support/scripted-daemon.ts";
import { cleanUp, NodeProcess, temporaryFolder } from "./support/children.ts";
import { CLI } from "./support/daemon.ts";
import { Network, type TestAccount } from "./support/network.ts";
import { addScripted } from "./support/scripted.ts";

const MODEL = testModel({ id: "books-model" });
/** 8 prompt tokens at 20 millicredits and two completion tokens at 80. */
const JOB_COST = 8 * 20 + 2 * 80;

let network: Network;
let consumer: TestAccount;
let file: string;
beforeAll(async () => {
  network = await Network.start([MODEL]);
  consumer = await network.open();
  const provider = await network.open({ starter: false });
  await addScripted(network, provider, { number: 1, model: MODEL.id, onJob: answer });
  file = join(await temporaryFolder(), "ledger.ndjson");
});
afterAll(async () => {
  await cleanUp();
  await network?.close();
});

/** Two words, or for who asks for it a refusal that blames the request, so that the hold is given back. */
function answer(job: ScriptedJob): void {
  if (JSON.stringify(job.job.request.messages).includes("refuse")) {
    job.fail("invalid_request", "no");
    return;
  }
  job.accept();
  job.text("Hello");
  job.text(" there");
  job.done();
}

async function ask(apiKey: string, content = "Hi"): Promise<number> {
  const body = { model: MODEL.id, messages: [{ role: "user", content }] };
  const response = await network.call("/v1/chat/completions", { method: "POST", apiKey, body });
  await response.text();
  return response.status;
}

async function tollmill({ apiKey }: Pick<TestAccount, "apiKey">, ...args: string[]) {
  const child = new NodeProcess([CLI, "--url", network.url, ...args], { env: { TOLLMILL_API_KEY: apiKey } });
  const { code } = await child.exited;
  return { code, out: child.stdout, err: child.stderr };
}

interface Report {
  readonly ok: boolean;
  readonly first_bad_seq: number | null;
  readonly entries: number;
  readonly added: number;
  readonly mended: boolean;
  readonly checks: { check: string; ok: boolean | null }[];
}

async function mirror(account = consumer, ...flags: string[]): Promise<{ code: number | null; report: Report | null }> {
  const { code, out } = await tollmill(account, "--json", "ledger", "--mirror", file, ...flags);
  return { code, report: out === "" ? null : (JSON.parse(out) as Report) };
}

const ledger = async () =>
  await (await network.call("/api/v1/ledger?format=ndjson", { apiKey: consumer.apiKey })).text();

/** The account's usage by key name. */
async function usage(): Promise<Record<string, UsageRow>> {
  const { out } = await tollmill(consumer, "--json", "usage", "--by", "key");
  const rows = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as UsageRow);
  return Object.fromEntries(rows.map((row) => [row.name ?? "", row]));
}

it("keeps the ledger to the byte, finds a byte that was changed, and sums up what each key has used", async () => {
  const made = await tollmill(
    consumer,
    "keys",
    "create",
    "ci",
    "--model",
    MODEL.id,
    "--budget",
    "1",
    "--reset",
    "daily",
  );
  const ci = { apiKey: made.out.trim() };
  expect([made.code, made.out]).toEqual([0, expect.stringMatching(/^tm_[0-9A-Za-z]{71}\n$/)]);

  for (let i = 0; i < 3; i++) expect(await ask(consumer.apiKey)).toBe(200);
  for (let i = 0; i < 2; i++) expect(await ask(ci.apiKey)).toBe(200);
  expect(await ask(ci.apiKey, "refuse")).toBe(400);
  const first = await mirror();
  expect(first).toMatchObject({ code: 0, report: { ok: true, added: 7, entries: 7 } });
  expect(first.report?.checks.map(({ check, ok }) => [check, ok])).toEqual(
    ["entries", "chain", "network", "receipts", "claims", "balance", "network_signature"].map((check) => [check, true]),
  );
  expect(await readFile(file, "utf8")).toBe(await ledger());

  // The account goes on while its mirror is brought up to date.
  const jobs = Array.from({ length: 8 }, () => ask(ci.apiKey));
  const during = await mirror();
  expect(during).toMatchObject({ code: 0, report: { ok: true } });
  expect(await Promise.all(jobs)).toEqual(jobs.map(() => 200));
  const after = await mirror();
  expect(after).toMatchObject({ code: 0, report: { ok: true, entries: 15 } });
  expect((during.report?.added ?? 0) + (after.report?.added ?? 0)).toBe(8);

  const { ci: used, ...others } = await usage();
  expect(used).toMatchObject({ jobs: 11, completed: 10, unanswered: 1, completion_tokens: 20, credits: "3.200" });
  expect(Object.values(others)).toMatchObject([{ jobs: 3, completed: 3, prompt_tokens: 24, credits: "0.960" }]);
  expect(await network.balance(consumer)).toEqual({ available: 1_200_000 - 13 * JOB_COST, held: 0 });
});

it("names the entry of a byte that was changed, and leaves the file to who has to look at it", async () => {
  const whole = await readFile(file);
  const third = whole.toString().split("\n").slice(0, 2).join("\n").length + 1;
  const changed = Buffer.from(whole);
  const place = whole.indexOf(MODEL.id, third);
  changed[place] = "c".charCodeAt(0);
  await writeFile(file, changed);
  const people = await tollmill(consumer, "ledger", "--mirror", file);
  expect([people.code, people.out]).toEqual([1, expect.stringContaining("does NOT hold from entry 3 on")]);
  expect(await mirror()).toMatchObject({ code: 1, report: { ok: false, first_bad_seq: 3, added: 0 } });
  expect((await readFile(file)).equals(changed)).toBe(true);
  await writeFile(file, whole);
});

it("mends a line that was cut, and checks everything again on demand", async () => {
  const whole = await readFile(file);
  await writeFile(file, whole.subarray(0, whole.length - 100));
  expect(await mirror(consumer, "--recheck")).toMatchObject({ code: 0, report: { ok: true, mended: true, added: 1 } });
  expect((await readFile(file)).equals(whole)).toBe(true);
});

it("refuses another account's mirror by name", async () => {
  const whole = await readFile(file);
  const other = await network.open();
  const { code, err } = await tollmill(other, "ledger", "--mirror", file);
  expect([code, err]).toEqual([2, expect.stringContaining("is the mirror of another account")]);
  expect((await readFile(file)).equals(whole)).toBe(true);
});

it("changes keys over, and revokes them", async () => {
  const { out: text } = await tollmill(consumer, "keys", "create", "old");
  const { out } = await tollmill(consumer, "keys", "--json");
  const keys = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { id: string; name: string });
  const id = keys.find(({ name }) => name === "old")?.id ?? "";
  const rotated = await tollmill(consumer, "keys", "rotate", id, "--overlap", "0");
  expect([await ask(text.trim()), await ask(rotated.out.trim())]).toEqual([401, 200]);
  expect(await tollmill(consumer, "keys", "revoke", id)).toMatchObject({ code: 0, out: "" });
  expect(await ask(rotated.out.trim())).toBe(401);
  expect((await tollmill(consumer, "keys")).out).toMatch(new RegExp(`^${id} +old +revoked`, "m"));
  // A key that may not manage others is told so.
  const { code, err } = await tollmill(
    { apiKey: (await tollmill(consumer, "keys", "create", "plain")).out.trim() },
    "keys",
  );
  expect([code, err]).toEqual([4, expect.stringContaining("`manage`")]);
});
