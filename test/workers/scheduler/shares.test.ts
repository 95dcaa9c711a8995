/** The shares of classes and lanes (economics.md §8), measured on the running network. */

import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { putModel } from "../../../db/catalog.ts";
import { testModel } from "../../support/models.ts";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import { call } from "../api/support.ts";
import { accountOf, addDaemon, chat, credit, openAccount, supply, type TestAccount, until } from "../job/network.ts";
import { invite, join } from "../networks/support.ts";

/** A model that no other test's cache of the catalog has. */
const MODEL = "of-shares";

const SLOTS = 4;
/** The first ones come while nobody else is there, and what they were estimated too high at is lent back to their lanes. */
const WARM_UP = 30;
/** Dispatches that are looked at: all lanes have work until then, each more than its share. */
const LOOKED_AT = 200;
const BACKLOG = { private: 180, included: 24, dedicated: 36, public: 52 } as const;
type MeasuredLane = keyof typeof BACKLOG;
/** 70 to 30; inside open 15, 30 and 50, as nobody is in the league. */
const SHARES: Record<MeasuredLane, number> = {
  private: 0.7,
  included: (0.3 * 15) / 95,
  dedicated: (0.3 * 30) / 95,
  public: (0.3 * 50) / 95,
};

async function grant({ account, apiKey }: TestAccount, kind: "allotment" | "package"): Promise<void> {
  const concurrency = kind === "allotment" ? BACKLOG.included : 0;
  const lot = { id: kind, kind, backing: "usdc", amount: 100_000_000, memo: "", concurrency } as const;
  const { rpc } = accountOf({ account, apiKey });
  const result = await rpc.credit({ ...lot, expiresAt: Date.now() + 600_000 });
  if (result.type !== "credited") throw new Error(JSON.stringify(result.refusal));
}

async function openNetwork({ apiKey }: TestAccount, rates: object): Promise<string> {
  const { json } = await call("/api/v1/networks", { key: apiKey, body: { id: "shares", name: "Lab", rates } });
  return json.id;
}

it("gives private 70 and open 30, and in open each lane its weight, while all have work", async () => {
  const member = await openAccount();
  await putModel(env.DB, testModel({ id: MODEL, lanes: ["included", "dedicated", "public"] }));
  const rates = { [MODEL]: { prompt: "0.00002", completion: "0.00008" } };
  const network = await openNetwork(member, rates);
  const provider = await openAccount();
  await join(provider.apiKey, await invite(member.apiKey, network));
  const [holder, sponsor, anyone] = [await openAccount(), await openAccount(), await openAccount()];
  await grant(holder, "allotment");
  // No slots are reserved by it: those would go ahead of all shares.
  await grant(sponsor, "package");
  for (const account of [member, anyone]) await credit(account, "topup", "1", `paid-${account.account}`);

  const opened = Promise.withResolvers<void>();
  const onJob = async (job: ScriptedJob): Promise<void> => {
    job.accept();
    await opened.promise;
    job.text("word");
    job.done();
  };
  const daemon = await addDaemon(provider, { model: MODEL, offer: { slots: SLOTS }, networks: [network], onJob });
  const ask = ({ apiKey }: TestAccount, count: number, body: object) =>
    Array.from({ length: count }, () => chat(apiKey, { model: MODEL, max_tokens: 8, ...body }));
  const answers = [
    ...ask(member, BACKLOG.private, { network }),
    ...ask(holder, BACKLOG.included, { lane: "included" }),
    ...ask(sponsor, BACKLOG.dedicated, { lane: "dedicated" }),
    ...ask(anyone, BACKLOG.public, { lane: "public" }),
  ];
  await until(async () => (await supply(MODEL)).waiting === answers.length - SLOTS, "a backlog", 30_000);
  opened.resolve();
  for (const response of await Promise.all(answers)) expect(response.status).toBe(200);

  const lanes = daemon.jobs.slice(WARM_UP, WARM_UP + LOOKED_AT).map(({ job }) => job.lane);
  for (const [lane, share] of Object.entries(SHARES)) {
    const got = lanes.filter((each) => each === lane).length;
    // One in a hundred, and one largest charge.
    expect(Math.abs(got - share * LOOKED_AT), `${lane}: ${got}`).toBeLessThanOrEqual(0.01 * LOOKED_AT + 1);
  }
}, 60_000);
