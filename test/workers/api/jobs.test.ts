import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { type JobId, newJobId } from "../../../core/ids.ts";
import type { AcquireRequest } from "../../../protocol/internal/job.ts";
import { schedulerName } from "../../../protocol/internal/names.ts";
import { verifyReceipt } from "../../../protocol/receipt.ts";
import { pseudonymOf } from "../../../workers/auth.ts";
import { configOf } from "../../../workers/config.ts";
import { receiptOf } from "../../support/receipts.ts";
import { deliver, pack } from "../log/support.ts";
import { call, holdJob, openAccount, settleJob, type TestAccount } from "./support.ts";

const job = (account: TestAccount, id: string, method = "GET") =>
  call(`/api/v1/jobs/${id}`, { key: account.key, method });
const receipt = (account: TestAccount, id: string, query = "") =>
  call(`/api/v1/receipts/${id}${query}`, { key: account.key });

/** Puts a held job into its pool's queue, as the gateway does; resolves with the pool's answer. */
function acquire(account: TestAccount, id: JobId): Promise<Response> {
  const now = Date.now();
  const rate = { completion: 320, prompt: 80, per: 4 };
  const request: AcquireRequest = {
    job: id,
    account: account.account,
    lane: "public",
    network: null,
    model: "maker/eight",
    needs: { features: [], quantizations: null, context: 1_100, only: null, ignore: [] },
    rate,
    maxPrice: null,
    maxRate: rate,
    reserved: false,
    share: { weight: 1, paying: true },
    allotment: null,
    estimate: { prompt: 100, completion: 1_000 },
    unbacked: true,
    holdExpiresAt: now + 600_000,
    queuedAt: now,
    waitUntil: now + 60_000,
    excluded: [],
    beside: null,
    after: 0,
  };
  const scheduler = env.SCHEDULER.getByName(schedulerName("local", "maker/eight"));
  return scheduler.fetch("https://scheduler/acquire", { method: "POST", body: JSON.stringify(request) });
}

describe("a job", () => {
  it("is pending until its pool knows it", async () => {
    const account = await openAccount();
    const id = await holdJob(account);
    const { status, json } = await job(account, id);
    expect(status).toBe(200);
    expect(json).toMatchObject({ id, state: "pending", model: "maker/eight", position: null, receipt: null });
  });

  it("tells its place in the queue, and leaves it when it is cancelled", async () => {
    const account = await openAccount();
    const id = await holdJob(account);
    const waiting = acquire(account, id);
    await expect.poll(async () => (await job(account, id)).json).toMatchObject({ state: "queued", position: 1 });
    expect((await job(account, id, "DELETE")).json).toEqual({ id, cancelled: true });
    expect(await (await waiting).json()).toMatchObject({ type: "refused", refusal: { code: "cancelled" } });
    await expect.poll(async () => (await job(account, id)).json).toMatchObject({ state: "voided" });
    expect((await job(account, id, "DELETE")).json).toEqual({ id, cancelled: false });
    expect((await call("/api/v1/balance", { key: account.key })).json).toMatchObject({ held: "0.000", open_jobs: 0 });
  });

  it("tells its outcome and where its receipt is", async () => {
    const account = await openAccount();
    const id = await holdJob(account);
    await settleJob(account, id);
    const { json } = await job(account, id);
    expect(json).toMatchObject({ state: "completed", model: "maker/eight", receipt: `/api/v1/receipts/${id}` });
    expect((await call(json.receipt, { key: account.key })).status).toBe(200);
  });

  it("is nobody else's to see or cancel", async () => {
    const [a, b] = [await openAccount("a"), await openAccount("b")];
    const id = await holdJob(a);
    const waiting = acquire(a, id);
    await expect.poll(async () => (await job(a, id)).json.state).toBe("queued");
    for (const method of ["GET", "DELETE"]) {
      const { status, json } = await job(b, id, method);
      expect([status, json.code]).toEqual([404, "job_not_found"]);
    }
    expect((await job(a, id)).json.state).toBe("queued");
    await job(a, id, "DELETE");
    await (await waiting).json();
  });

  it("that never was is not found", async () => {
    const { status, json } = await job(await openAccount(), newJobId(Date.now(), new Uint8Array(10)));
    expect([status, json.code]).toEqual([404, "job_not_found"]);
  });
});

describe("a receipt", () => {
  it("verifies with the key that the network publishes, and is what the account stored", async () => {
    const account = await openAccount();
    const id = await holdJob(account);
    const body = await settleJob(account, id);
    const { keys } = (await call("/api/v1/log/keys")).json;
    expect(keys).toEqual([{ key: expect.any(String), algorithm: "ed25519", current: true }]);
    const { status, json } = await receipt(account, id);
    expect(status).toBe(200);
    expect(json.body).toBe(body);
    const { checks } = verifyReceipt(json, keys[0].key);
    // The test's settlement has another job's claim; everything the network vouches for holds.
    expect(checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(["claim_signature"]);
  });

  it("is served from the log to its parties, to the byte, and to nobody else", async () => {
    const [consumer, provider, other] = [await openAccount("a"), await openAccount("b"), await openAccount("c")];
    const parties = { consumer: pseudonymOf(consumer.account, configOf(env)), provider: provider.account };
    const logged = receiptOf({ facts: parties });
    await deliver([pack([logged])]);
    const { job: id } = JSON.parse(logged.body) as { job: string };
    for (const party of [consumer, provider]) {
      const { status, json } = await receipt(party, id);
      expect([status, json]).toEqual([200, logged]);
      expect((await receipt(party, id, "?n=1")).json.code).toBe("receipt_not_found");
    }
    const [theirs, nobodys] = [await receipt(other, id), await receipt(other, newJobId(0, new Uint8Array(10)))];
    expect([theirs.status, theirs.json]).toEqual([404, nobodys.json]);
    expect(theirs.json.code).toBe("receipt_not_found");
  });

  it("is its provider's to read as soon as it is in the log", async () => {
    const [consumer, provider] = [await openAccount("a"), await openAccount("b")];
    const id = await holdJob(consumer);
    await settleJob(consumer, id, provider.account);
    expect((await receipt(provider, id)).status).toBe(404);
    const { json: signed } = await receipt(consumer, id);
    await deliver([pack([signed])]);
    expect((await receipt(provider, id)).json).toEqual(signed);
  });

  it("is not there before the job has ended", async () => {
    const account = await openAccount();
    const { status, json } = await receipt(account, await holdJob(account));
    expect([status, json.code]).toEqual([404, "receipt_not_found"]);
  });

  it("comes in pages, the account's own only", async () => {
    const [a, b] = [await openAccount("a"), await openAccount("b")];
    const bodies: string[] = [];
    for (let i = 0; i < 3; i++) bodies.push(await settleJob(a, await holdJob(a)));
    const first = await call("/api/v1/receipts?limit=2", { key: a.key });
    const second = await call(`/api/v1/receipts?limit=2&cursor=${first.json.next}`, { key: a.key });
    expect([...first.json.data, ...second.json.data].map(({ body }: { body: string }) => body)).toEqual(bodies);
    expect(second.json.next).toBeNull();
    expect((await call("/api/v1/receipts", { key: b.key })).json).toEqual({ data: [], next: null });
  });
});
