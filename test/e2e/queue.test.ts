/** The way of receipts into the log, through the platform's own queue: account → queue → D1 and R2. */

import { createHash } from "node:crypto";
import type { D1Database, R2Bucket } from "@cloudflare/workers-types";
import { afterAll, beforeAll, expect, it } from "vitest";
import { testModel } from "../support/models.ts";
import { answering, type ScriptedDaemon } from "../support/scripted-daemon.ts";
import { cleanUp } from "./support/children.ts";
import { Network, type TestAccount, until } from "./support/network.ts";
import { addScripted } from "./support/scripted.ts";

type Bindings = {
  readonly DB: D1Database;
  readonly SEGMENTS: R2Bucket;
};
interface Place {
  readonly job: string;
  readonly offset: number;
  readonly length: number;
  readonly hash: string;
}

const JOBS = 12;
const MODEL = testModel();

let network: Network;
let consumer: TestAccount;
let provider: TestAccount;
let daemon: ScriptedDaemon;
/** The jobs in the order of the account's chain. */
let jobs: string[];
beforeAll(async () => {
  network = await Network.start([MODEL]);
  [consumer, provider] = [await network.open(), await network.open({ starter: false })];
  ({ daemon } = await addScripted(network, provider, {
    number: 1,
    model: MODEL.id,
    onJob: answering(["Hello", " there"]),
  }));
  expect(await network.logSize()).toBe(0);
  const body = { model: MODEL.id, messages: [{ role: "user", content: "Hi" }] };
  const answers = await Promise.all(Array.from({ length: JOBS }, () => network.chat(consumer, body)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: JOBS }, () => 200));
  jobs = (await network.receipts(consumer)).map(({ job }) => job);
  await until(async () => (await network.logSize()) === JOBS, "every receipt in the log");
});
afterAll(async () => {
  await cleanUp();
  await network?.close();
});

it("tells the daemon that a claim is settled only when its receipt is on the way", async () => {
  for (const job of jobs) await daemon.next("settled", (message) => message.job === job);
  expect(daemon.received.filter(({ type }) => type === "refused")).toEqual([]);
});

it("shows every receipt to its provider once it is in the log, to the byte as its consumer got it", async () => {
  for (const job of jobs) {
    const [own, logged] = await Promise.all([textOf(job, consumer), textOf(job, provider)]);
    expect(logged).toBe(own);
    expect(await network.receipt(job, provider)).toMatchObject({ job, outcome: "completed" });
  }
});

it("shows nobody else a receipt, and nobody the consumer's account", async () => {
  const [job = ""] = jobs;
  const stranger = await network.open();
  expect(JSON.parse(await textOf(job, stranger))).toMatchObject({ status: 404, code: "receipt_not_found" });
  const receipt = await network.receipt(job, provider);
  expect(JSON.stringify(receipt)).not.toContain(consumer.account);
  expect(receipt.consumer).toMatch(/^[0-9A-Za-z]{22}$/);
});

it("keeps each receipt once, in segments that stand under the hash of their bytes", async () => {
  const { DB, SEGMENTS } = await network.server.harness.getWorker<Bindings>().getEnv();
  const { results } = await DB.prepare(
    `SELECT r.job, r."offset", r."length", s.hash FROM receipts AS r JOIN segments AS s ON s.first_index = r.segment
     ORDER BY r.log_index`,
  ).all<Place>();
  expect(results.map(({ job }) => job).toSorted()).toEqual(jobs.toSorted());

  const segments = new Map<string, Buffer>();
  for (const { hash } of results) {
    const stored = await SEGMENTS.get(`segments/${hash}`);
    if (stored === null) throw new Error(`segment ${hash} is not in R2`);
    segments.set(hash, Buffer.from(await stored.arrayBuffer()));
  }
  for (const [hash, bytes] of segments) expect(createHash("sha256").update(bytes).digest("hex")).toBe(hash);
  for (const { job, offset, length, hash } of results) {
    const line = segments
      .get(hash)
      ?.subarray(offset, offset + length)
      .toString();
    expect(JSON.parse(line ?? "null")).toEqual(JSON.parse(await textOf(job, consumer)));
  }
  // The segments hold these receipts, behind each the record of its auction, and nothing else.
  const lines = [...segments.values()].flatMap((bytes) => bytes.toString().trimEnd().split("\n"));
  const ofJobs = lines.map((line) => JSON.parse(line) as { body?: string; job?: string });
  expect(ofJobs).toHaveLength(2 * JOBS);
  for (const [index, { body, job }] of ofJobs.entries()) {
    if (body === undefined) expect((JSON.parse(ofJobs[index - 1]?.body ?? "{}") as { job?: string }).job).toBe(job);
  }
});

it("sums the log up to what the account was charged", async () => {
  const { DB } = await network.server.harness.getWorker<Bindings>().getEnv();
  const sum = await DB.prepare("SELECT SUM(millicredits) AS sum FROM receipts").first<number>("sum");
  const { available } = await network.balance(consumer);
  expect(sum).toBe(1_200_000 - available);
  expect(sum).toBe(JOBS * (8 * 20 + 2 * 80));
});

/** What an account is told of a job's receipt. */
async function textOf(job: string, { apiKey }: TestAccount): Promise<string> {
  return await (await network.call(`/api/v1/receipts/${job}`, { apiKey })).text();
}
