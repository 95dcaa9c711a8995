/** A gateway that dies at a chosen moment: the calls that it makes, one by one. */

import { env } from "cloudflare:workers";
import { newJobId } from "../../../core/ids.ts";
import { perThousand } from "../../../core/pricing.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import type { AcquireRequest, AcquireResponse, Grant } from "../../../protocol/internal/job.ts";
import { accountOf, type TestAccount } from "../job/network.ts";

const RATE = { completion: 80_000, prompt: 20_000, per: 1_000 };

/** Holds a job and has it granted, but never brings it to its relay. */
export async function acquireAlone(
  consumer: TestAccount,
  changes: Partial<AcquireRequest> = {},
): Promise<{ grant: Grant; request: AcquireRequest }> {
  const { rpc, credentials } = accountOf(consumer);
  const now = Date.now();
  const job = newJobId(now, crypto.getRandomValues(new Uint8Array(10)));
  const held = await rpc.hold({
    job,
    keyed: false,
    credentials,
    lane: "public",
    lanes: ["public"],
    choosesProvider: false,
    mostBasisPoints: null,
    maxAsk: perThousand(RATE),
    allowPaid: false,
    model: "test-model",
    body: hashText("request"),
    rate: RATE,
    promptBound: 10,
    completion: 100,
    completionDefault: 100,
    choices: 1,
    expiresAt: now + 780_000,
  });
  if (held.type !== "held") throw new Error(JSON.stringify(held));
  const request: AcquireRequest = {
    job,
    account: consumer.account,
    lane: "public",
    network: null,
    model: "test-model",
    needs: { features: [], quantizations: null, context: 110, only: null, ignore: [] },
    rate: RATE,
    maxRate: RATE,
    maxPrice: null,
    reserved: false,
    share: { weight: 1, paying: true },
    allotment: null,
    estimate: { prompt: 10, completion: 100 },
    unbacked: true,
    holdExpiresAt: held.expiresAt,
    queuedAt: now,
    waitUntil: now + 60_000,
    excluded: [],
    beside: null,
    after: 0,
    ...changes,
  };
  const scheduler = env.SCHEDULER.getByName("local/test-model");
  const response = await scheduler.fetch("https://scheduler/acquire", {
    method: "POST",
    body: JSON.stringify(request),
  });
  const answer = await response.json<AcquireResponse>();
  if (answer.type !== "granted") throw new Error(JSON.stringify(answer));
  return { grant: answer.grant, request };
}
