/** Days of a holder of stake: from a wallet's balance on the chain to a job that its allotment pays, and to midnight. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { epochOf, epochStart } from "../../../core/allotment/epochs.ts";
import { parseCredits, parseUsd } from "../../../core/units.ts";
import { TREASURY } from "../../../localnet/chain/mints.ts";
import { adminDepositPage, resolution } from "../../../protocol/network/deposit-resolutions.ts";
import { dailyEpochs } from "../../../protocol/network/epochs.ts";
import { testSecrets } from "../../secrets.ts";
import { walletOf } from "../../support/wallet.ts";
import { cleanUp, NodeProcess, temporaryFolder } from "../support/children.ts";
import { CLI, Daemon } from "../support/daemon.ts";
import { ANSWER, type TestAccount, TOY_MODEL, until } from "../support/network.ts";
import { ASKED, clientOf, usageOf } from "../support/openai.ts";
import { ClockedNetwork, SECOND_OPERATOR } from "./clocked-network.ts";

const HOUR = 3_600_000;
const holder = walletOf("holder");
/** The day on which the network begins: tomorrow, so that nothing of the real one counts. */
const FIRST = epochOf(Date.now()) + 1;

let world: ClockedNetwork;
let account: TestAccount;
beforeAll(async () => {
  world = await ClockedNetwork.start([TOY_MODEL]);
});
afterAll(async () => {
  await cleanUp();
  await world?.close();
});

/** A time of a day, in hours. */
const at = (epoch: number, hours: number) => epochStart(epoch) + hours * HOUR;

/** Signs the holder in from the terminal, and makes it a key. */
async function signIn(): Promise<TestAccount> {
  const folder = await temporaryFolder();
  const file = join(folder, "id.json");
  await writeFile(file, JSON.stringify([...holder.secretKey]));
  const env = { TOLLMILL_SESSIONS: join(folder, "sessions"), TOLLMILL_API_KEY: "" };
  const tollmill = async (...args: string[]) => {
    const child = new NodeProcess([CLI, "--url", world.network.url, ...args], { env });
    await child.exited;
    return child.stdout.trim();
  };
  const id = await tollmill("login", "--keypair", file);
  return { account: id, apiKey: await tollmill("keys", "create", "day") };
}

/** The founders pay USDC into the treasury, and two operators agree that it is the network's own. */
async function fundTreasury(usdc: string): Promise<void> {
  const { network, chain } = world;
  await chain.faucet.give({ address: TREASURY, usdc });
  const apiKey = testSecrets.ADMIN_KEY;
  const waiting = () => network.json("/api/v1/admin/deposits?state=suspense", adminDepositPage, { apiKey });
  await until(async () => {
    await world.poke();
    return (await waiting()).data.length > 0;
  }, "the founders' payment");
  const [deposit] = (await waiting()).data;
  const body = { id: "capital", action: "keep", reason: "the founders' capital" };
  await network.json(`/api/v1/admin/deposits/${deposit?.id}/resolutions`, resolution, { method: "POST", apiKey, body });
  const approve = { method: "POST", apiKey: SECOND_OPERATOR };
  await network.json("/api/v1/admin/deposit-resolutions/capital/approve", resolution, approve);
}

/** The evening before an epoch: stakes are read from 23:00 on, and the row is made at 23:30. */
async function evening(epoch: number): Promise<z.infer<typeof dailyEpochs>> {
  await world.setTime(at(epoch, -1));
  await until(async () => {
    await world.poke();
    return await world.hasStakes(epoch);
  }, "the snapshot of stakes");
  await world.setTime(at(epoch, -0.5));
  await world.poke();
  // Rows may be shown as they were five minutes ago.
  await world.setTime(at(epoch, -0.4));
  return await daily();
}

const daily = () => world.network.json("/api/v1/epochs/daily", dailyEpochs);
const lots = z.object({ lots: z.array(z.object({ kind: z.string(), available: z.string() })), available: z.string() });
const balance = () => world.network.json("/api/v1/balance", lots, { apiKey: account.apiKey });

it("gives a holder an allotment that pays a job, and another one at midnight", async () => {
  await world.setTime(at(FIRST, 12));
  await world.chain.faucet.give({ address: holder.address, sol: "1", one: "5000" });
  account = await signIn();
  await fundTreasury("100000");
  expect((await balance()).available).toBe("0.000");

  // The first snapshot has none before it, so nothing counts yet.
  const first = await evening(FIRST + 1);
  expect(first).toMatchObject({
    next_is_estimate: false,
    next: { inputs: { stake: "0" } },
  });
  await world.setTime(at(FIRST + 1, 0.5));
  expect((await balance()).available).toBe("0.000");

  const second = await evening(FIRST + 2);
  expect(second).toMatchObject({
    next_is_estimate: false,
    next: {
      epoch: FIRST + 2,
      inputs: { stake: "5000000000000", accounts: 1, treasury_known: true, treasury_micro_usdc: 100_000_000_000 },
    },
  });
  const obligation = second.next.outputs.obligation;
  expect(Number(obligation)).toBeGreaterThan(0);
  // Not before midnight.
  expect((await balance()).available).toBe("0.000");

  await world.setTime(at(FIRST + 2, 0.1));
  const granted = await balance();
  expect(granted.lots).toMatchObject([{ kind: "allotment" }]);
  // At a peg of 1 a millicredit is worth a nanodollar. There is one holder, so all of it is theirs.
  expect(parseCredits(granted.available)).toBe(parseUsd(obligation));

  await Daemon.start(world.network, await world.network.open({ starter: false }));
  await world.network.supply(TOY_MODEL.id, 1);
  const client = clientOf(world.network, account);
  const answer = await client.chat.completions.create({ model: TOY_MODEL.id, messages: ASKED, temperature: 0 });
  expect(answer.choices[0]?.message.content).toBe(ANSWER);
  const usage = usageOf(answer.usage);
  expect(usage).toMatchObject({ lane: "included", cost: "2.880" });
  const receipt = await world.network.receipt(usage.receipt, account);
  expect(receipt.charge.parts).toMatchObject([{ kind: "allotment", backing: "usdc", nano_usd: 2_880 }]);
  expect(parseCredits((await balance()).available)).toBe((parseCredits(granted.available) ?? 0) - 2_880);

  // What is promised for the day is not free for the next one, be it taken up or not; of what the job cost a twentieth is.
  const third = await evening(FIRST + 3);
  const free = 100_000n * 1_000_000_000n - BigInt(parseUsd(obligation) ?? 0) + 144n;
  expect(third.next.inputs.treasury_micro_usdc).toBe(Number(free / 1_000n));
  await world.setTime(at(FIRST + 3, 0.1));
  const renewed = await balance();
  expect(renewed.lots).toMatchObject([{ kind: "allotment" }]);
  const shape = z.object({ data: z.array(z.object({ type: z.string() })) });
  const ledger = await world.network.json("/api/v1/ledger", shape, { apiKey: account.apiKey });
  expect(ledger.data.map(({ type }) => type)).toEqual(["allotment", "spent", "expiry", "allotment"]);
  const { ok } = await world.network.json("/api/v1/invariants", z.object({ ok: z.boolean() }));
  expect(ok).toBe(true);
});
