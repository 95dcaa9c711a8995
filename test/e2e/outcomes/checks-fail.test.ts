/** Claims that do not fit what the relay saw: nothing is charged, and the answer ends with an error. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkPage } from "../../../protocol/network/checks.ts";
import { testSecrets } from "../../secrets.ts";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import { Network, until } from "../support/network.ts";
import { expectEnd } from "./support/end.ts";
import { Market, PROMPT, seen } from "./support/market.ts";

const HASH = "00".repeat(32);

/** What is wrong with a claim, and how a daemon makes it. */
const BAD: Record<string, (job: ScriptedJob) => void> = {
  "digest of the answer": (job) => job.done({}, { digest: { ...job.claim().digest, response: HASH } }),
  "digest of the request": (job) => job.done({}, { digest: { ...job.claim().digest, request: HASH } }),
  salt: (job) => job.done({}, { digest: { ...job.claim().digest, salt: "ab".repeat(16) } }),
  "fence that is too high": (job) => job.done({}, { fence: job.job.fence + 1 }),
  "fence that is too low": (job) => job.done({}, { fence: job.job.fence - 1 }),
  model: (job) => job.done({}, { model: "another-model" }),
  signature: (job) => job.done({ signature: job.claim({}, { fence: 1_000_000 }).signature }),
  "usage that was not signed": (job) =>
    job.done({ usage: { prompt: PROMPT, completion: 3 }, signature: job.claim().signature }),
  "digest, as it sent more than it says": (job) => {
    job.send(0, 0, " and more", 0);
    job.done();
  },
};
const claims = Object.entries(BAD).flatMap(([what, claim]) => [false, true].map((stream) => ({ what, claim, stream })));

let network: Network;
beforeAll(async () => {
  network = await Network.start([]);
});
afterAll(() => network?.close());

describe.concurrent("a claim with a wrong", () => {
  it.for(claims)("$what charges nothing (stream: $stream)", async ({ claim, stream }) => {
    const market = await Market.open(network, (job) => {
      job.accept();
      for (const word of ["Hello", " there"]) job.text(word);
      claim(job);
    });
    const answer = await seen(market.ask({ stream }));
    const error = "verification_failed";
    if (stream) expect(answer).toMatchObject({ status: 200, reason: "error", error });
    else expect(answer).toEqual({ status: 502, text: "", reason: null, error });
    const { job } = market.job().job;
    const usage = { prompt: PROMPT, completion: 2, relayed: 2 };
    await expectEnd(market, job, { outcome: "unverified", usage, charge: 0, told: "settled" });
    expect(await network.receipt(job, market.consumer)).toMatchObject({ claim: null, split: [] });
  });
});

describe("a daemon that fails a check", () => {
  it("loses what it had earned with that model, and its consumer has everything back", async () => {
    let isWrong = false;
    const market = await Market.open(network, (job) => {
      job.accept();
      job.text("Hello");
      job.done({}, isWrong ? { digest: { ...job.claim().digest, response: HASH } } : {});
    });
    const { available } = await network.balance(market.consumer);
    for (let count = 0; count < 3; count++) expect(await seen(market.ask())).toMatchObject({ status: 200 });
    expect((await network.balance(market.consumer)).available).not.toBe(available);
    isWrong = true;
    expect(await seen(market.ask())).toMatchObject({ status: 502 });
    const isBack = async () => (await network.balance(market.consumer)).available === available;
    await until(isBack, "the balance from before");
    const checks = async () => {
      const { data } = await network.json("/api/v1/admin/checks", checkPage, { apiKey: testSecrets.ADMIN_KEY });
      return data.find(({ model }) => model === market.model);
    };
    await until(async () => (await checks())?.state === "done", "the check to be done");
    expect(await checks()).toMatchObject({ check: "digest", reversed: 3, due: 0 });
  });
});
