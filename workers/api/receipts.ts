import { createRoute, z } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import type { AccountId, JobId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { receiptsOfJob } from "../../db/log.ts";
import { networkKey } from "../../durable-objects/shared/network-key.ts";
import { signReceipt } from "../../durable-objects/shared/receipt-queue.ts";
import { jobId } from "../../protocol/ids.ts";
import { logKeys, receiptNumber, receiptPage, receiptQuery } from "../../protocol/network/receipts.ts";
import { type SignedReceipt, signedReceipt } from "../../protocol/receipt.ts";
import { readReceipt } from "../../queues/segments.ts";
import { pseudonymOf } from "../auth.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { onAccount } from "../objects.ts";
import { answers, byAnyone, byKey, named, newApi, problems } from "./app.ts";
import { readEntries } from "./entries.ts";

const receipt = named("Receipt", signedReceipt);

const listReceipts = createRoute({
  method: "get",
  path: "/receipts",
  tags: ["Receipts"],
  summary: "The account's receipts",
  description: "What the account was charged, oldest first, each as the network signed it.",
  ...byKey,
  request: { query: receiptQuery },
  responses: { 200: answers(receiptPage.extend({ data: z.array(receipt) }), "A page of receipts."), ...problems },
});

const getReceipt = createRoute({
  method: "get",
  path: "/receipts/{job}",
  tags: ["Receipts"],
  summary: "The receipt of a job",
  description:
    "The signed record of a job: `body` is the canonical text (RFC 8785) that was signed, to the byte, behind the line " +
    "`tollmill/receipt/v1`. Only its parties can read it: the consumer's account as soon as the job has ended, and the " +
    "account that `provider` names once it is in the log. For everybody else there is none (`receipt_not_found`).",
  ...byKey,
  request: { params: z.object({ job: jobId }), query: receiptNumber },
  responses: { 200: answers(receipt, "The receipt."), ...problems },
});

const getLogKeys = createRoute({
  method: "get",
  path: "/log/keys",
  tags: ["Receipts"],
  summary: "The network's signing keys",
  description: "Whoever verifies receipts trusts these keys and no others.",
  ...byAnyone,
  responses: { 200: answers(logKeys, "The keys."), ...problems },
});

/** Entries that are receipts: of jobs, and those that take one back. */
const RECEIPTS = ["spent", "adjustment"] as const;

export const receipts = newApi();

receipts.openapi(listReceipts, async (c) => {
  const { cursor, limit = LIMITS.pageRows } = c.req.valid("query");
  const page = await readEntries(c.env, c.var.key, { from: cursor ?? 1, limit, types: RECEIPTS, slice: undefined });
  if (!page.ok) return problem(c, page.refusal);
  const data = await Promise.all(page.value.entries.map(({ body }) => signReceipt(c.env, body)));
  return c.json({ data, next: page.value.next }, 200);
});

receipts.openapi(getReceipt, async (c) => {
  const { account, secretHash } = c.var.key;
  const { job } = c.req.valid("param");
  const { n = 0 } = c.req.valid("query");
  const own = await onAccount(c.env, account, (object) => object.job({ secretHash }, job, ["read"]));
  if (!own.ok) return problem(c, own.refusal);
  if (own.value.type === "posted" && n === 0) return c.json(await signReceipt(c.env, own.value.body), 200);
  const logged = await fromLog(c.env, account, job, n);
  return logged === null ? problem(c, refuse("receipt_not_found")) : c.json(logged, 200);
});

receipts.openapi(getLogKeys, async (c) => {
  const { publicKey } = await networkKey(c.env);
  return c.json({ keys: [{ key: publicKey, algorithm: "ed25519" as const, current: true }] }, 200);
});

/** A receipt of the log, or null where there is none or `reader` is not one of its parties (docs/decisions/0008). */
async function fromLog(env: Env, reader: AccountId, job: JobId, n: number): Promise<SignedReceipt | null> {
  const row = (await receiptsOfJob(env.DB, job)).find((receipt) => receipt.n === n);
  if (row === undefined) return null;
  const isParty = row.provider === reader || row.consumer === pseudonymOf(reader, configOf(env));
  return isParty ? readReceipt(env.SEGMENTS, row) : null;
}
